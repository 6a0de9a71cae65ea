import { hubProject } from "../hub/test/project.ts";

export default hubProject("api");
