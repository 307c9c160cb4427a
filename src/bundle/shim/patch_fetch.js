// `fetch`, in any thread.

/** Reads of data go through `read`; everything else is the browser's, with the very same arguments. */
export function patchFetch(scope, native, read) {
  scope.fetch = function fetch(input, ...rest) {
    return saved(() => read(input, ...rest)) ?? native.call(scope, input, ...rest);
  };
}

/** What cannot be understood is for the browser to complain about. */
function saved(work) {
  try {
    return work();
  } catch {
    return null;
  }
}
