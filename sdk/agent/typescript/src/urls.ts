/**
 * Where the server is: a scheme, a host and perhaps a port.
 *
 * Plain HTTP is taken only on loopback, where nobody can listen in who could not do worse.
 */

import { UrlError, shown } from "./errors.js";

const URL_BYTES_MAX = 2048;

/** The server's origin. `UrlError`, if it is no URL, more than an origin, or plain HTTP beyond loopback. */
export function serverOrigin(text: string): string {
  const refused = (problem: string) => new UrlError(`\`${shown(text, 256)}\` cannot be the server's URL: ${problem}`);
  // `URL` forgives blanks and backslashes, which readers of URLs take in different ways.
  if (text.length > URL_BYTES_MAX || !/^[\x21-\x5b\x5d-\x7e]*$/.test(text)) {
    throw refused("it is no URL of visible ASCII characters");
  }
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refused("it is no URL");
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw refused("its scheme is neither https nor http");
  }
  if (text.includes("@")) {
    // It may be a password: it is not shown.
    throw new UrlError("the server's URL cannot carry a user or a password");
  }
  if (url.pathname !== "/" || /[?#]/.test(text) || !/^https?:\/\/[^/]+\/?$/i.test(text)) {
    throw refused("it is more than a scheme, a host and a port");
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    throw refused("plain http is used only on loopback; use https");
  }
  return url.origin;
}

function isLoopback(host: string): boolean {
  // `URL` has brought addresses into their one form.
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
