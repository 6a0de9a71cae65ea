import { hubProject } from "../hub/test/project.ts";

export default hubProject("registry");
