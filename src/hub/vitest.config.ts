import { hubProject } from "./test/project.ts";

export default hubProject("hub");
