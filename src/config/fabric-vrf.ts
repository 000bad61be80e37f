/** The fabric VRF (the agents' master instance): its routes are those of the underlay, unlabelled. */
export const FABRIC_VRF_NAME = 'default-domain:default-project:ip-fabric:__default__';
