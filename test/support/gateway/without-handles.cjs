/** Loaded into a gateway before all else: a Node.js that does not give its TCP handles away. */
process.binding = () => {
  throw new Error('no such binding');
};
