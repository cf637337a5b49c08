// The same code for import as for require, so that an error of one is an instance of the other's class.
export * from "./index.js";
