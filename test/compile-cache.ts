/**
 * For the environment of programs of ours that a test starts: what Node has compiled for one is there for the next.
 * Layer: test. `scripts/test` names the place; without, each compiles everything anew in its own home.
 */
export const compileCache = { NODE_COMPILE_CACHE: process.env['TEST_COMPILE_CACHE'] }
