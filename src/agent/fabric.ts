/** The one VRF that every agent takes part in: the underlay's. Its routes carry no label. */
export const FABRIC_VRF = 'default-domain:default-project:ip-fabric:__default__';
