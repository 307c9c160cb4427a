// Which URLs are private data, and so are read with the person's cookies.

/**
 * Returns a function that finds data behind a URL, relative to the page or not: `{url, crossOrigin}`, or null
 * for anything else.
 *
 * URLs are compared as the browser reads them, origin by origin and path by path, never as texts:
 * `https://data.example.org.evil.example/`, `https://data.example.org@evil.example/` and
 * `https://data.example.org/a/../b` are what they are and not what they look like.
 */
export function dataUrls(prefixes, scope) {
  const known = prefixes.map((prefix) => new URL(prefix));
  return (url) => {
    const asked = read(url, scope);
    if (!asked || asked.username || asked.password) return null;
    if (!known.some((prefix) => lies(asked, prefix))) return null;
    return { url: asked.href, crossOrigin: asked.origin !== scope.origin };
  };
}

function read(url, scope) {
  try {
    return new URL(url, scope.document?.baseURI ?? scope.location.href);
  } catch {
    return null;
  }
}

/** A prefix ends at a slash, whether it says so or not: `/data` is not the beginning of `/database`. */
function lies(asked, prefix) {
  if (asked.protocol !== prefix.protocol || asked.host !== prefix.host) return false;
  const folder = prefix.pathname.replace(/\/?$/, "/");
  return asked.pathname.startsWith(folder) || asked.pathname === prefix.pathname;
}
