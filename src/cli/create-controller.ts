/** The one place where the commands and the controller meet. */
import { Controller } from '../controller/controller.js';
import type { ControllerFactory } from './run.js';

export { rehearse } from '../rehearsal/rehearsal.js';

export const createController: ControllerFactory = (config, dependencies) => {
  const controller = new Controller(config, dependencies);
  controller.rib.reserve();
  return controller;
};
