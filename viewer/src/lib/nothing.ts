/** Stands in for Node's own modules in the page (vite.config.ts). */
export default {};
