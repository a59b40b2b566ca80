// The views beside chat, which follow it.
export {robot} from "./robot/panel.js";
export {drive} from "./drive/drive.js";
export {boards} from "./boards.js";
export {chain} from "./chain.js";
export {why} from "./why.js";
export {system} from "./system.js";
