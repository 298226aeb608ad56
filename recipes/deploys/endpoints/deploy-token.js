// Node: deploy-token.js in the release's folder
//
//   Express:    app.use(require("./deploy-token"));
//   http:       http.createServer((request, response) => deployToken(request, response, () => ...))
const fs = require("fs");
const path = require("path");

// Read once, when the module is loaded, and from beside it: it says which release was loaded, whatever the link says now.
let token = "none";
try {
  token = fs.readFileSync(path.join(fs.realpathSync(__dirname), "TOKEN"), "ascii").slice(0, 4096).trim();
} catch {
  // Not prepared.
}

module.exports = function deployToken(request, response, next) {
  if (request.url.split("?")[0] !== "/about/deploy") return next();
  response.writeHead(200, { "Content-Type": "text/plain", "Cache-Control": "no-store" });
  response.end(token);
};
