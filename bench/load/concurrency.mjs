/** Many things at a time, and when they have happened. */

/** Handshakes under way at a time. */
const BURST = 64;

/** Resolves when `count` things have happened, rejects after a deadline. */
export function countdown(count, what, deadlineMs) {
  let left = count;
  let arrived;
  const all = new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${left} of ${count} ${what} missing after ${deadlineMs / 1000} s`)),
      deadlineMs,
    );
    arrived = () => {
      left--;
      if (left > 0) return;
      clearTimeout(timer);
      resolve(performance.now());
    };
  });
  // The caller awaits it later; a deadline that passes before must not end the process.
  all.catch(() => {});
  return { arrived, all };
}

/** Makes one thing of each item, some at a time. */
export async function inBursts(items, make) {
  const made = [];
  for (let at = 0; at < items.length; at += BURST) {
    made.push(...(await Promise.all(items.slice(at, at + BURST).map((item, n) => make(item, at + n)))));
  }
  return made;
}

export const range = (length) => Array.from({ length }, (_, n) => n);

/** Calls back the first time only. */
export function once(callback) {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    callback();
  };
}
