// Has what libraries say by `console` go to standard error: standard output is for lines of JSON.

console.info = console.error;
console.log = console.error;
console.warn = console.error;
