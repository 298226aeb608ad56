// The application for Node. It reads TOKEN once, when it is loaded, and knows its release by heart.

const crypto = require("crypto"), fs = require("fs"), http = require("http"), net = require("net"), path = require("path");

const release = "@RELEASE@";
const here = fs.realpathSync(__dirname);
const folder = path.dirname(path.dirname(here));
const read = (name) => { try { return fs.readFileSync(name, "utf8").trim(); } catch { return "none"; } };
const traits = new Map(read(here + "/TRAITS").split(/\s+/).filter(Boolean).map((trait) => trait.split("=")));

// Some take the token from elsewhere than their own code.
const place = traits.has("token-by-link") ? folder + "/current" : here;
const token = read(place + "/TOKEN");
const credential = "Basic " + Buffer.from("about:" + read(folder + "/password")).toString("base64");
fs.appendFileSync(folder + "/boots", `${Number(process.hrtime.bigint()) / 1e9} ${process.pid} ${release} ${token}\n`);

const server = http.createServer((request, response) => {
  const say = (status, body) => { response.writeHead(status, { "Content-Type": "text/plain" }); response.end(body); };
  const url = new URL(request.url, "http://localhost");
  const given = Buffer.from(request.headers.authorization || "");
  switch (url.pathname) {
    case "/about/deploy":
      if (given.length !== credential.length || !crypto.timingSafeEqual(given, Buffer.from(credential))) return say(401, "no");
      return say(200, traits.has("dynamic") ? read(folder + "/current/TOKEN") : token);
    case "/whoami": return say(200, `${process.pid} ${release} ${token}`);
    case "/slow": return void setTimeout(say, 1000 * Number(url.searchParams.get("s")), 200, "at last");
    default: return say(200, "ok");
  }
});
server.keepAliveTimeout = 60000;
// As before Node 19: connections that clients keep open stay open.
if (process.env.KEEPS_CONNECTIONS) server.close = net.Server.prototype.close;
server.listen(Number(read(folder + "/port")) + Number(traits.get("port") || 0), traits.get("host") || "127.0.0.1");
