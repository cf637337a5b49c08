/** random returns a function that gives whole numbers below a bound. Its seed is printed, and taken from SEED. */
export function random(t) {
  let state = BigInt(process.env.SEED ?? Date.now());
  t.diagnostic(`SEED=${state}`);
  return (bound) => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n); // splitmix64
    let mixed = state;
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    return Number((mixed ^ (mixed >> 31n)) % BigInt(bound));
  };
}
