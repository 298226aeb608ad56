// What a page does beyond being read: it follows changes and keeps "4 min ago" right. All works without it.

let scriptText = #"""
    "use strict";
    (() => {
      const find = (id) => document.getElementById(id);
      const seconds = () => Date.now() / 1000;
      let offset = 0; // the server's clock minus ours

      const ago = (age) => {
        if (age < 5) return "just now";
        if (age < 60) return `${Math.floor(age)} s ago`;
        if (age < 3600) return `${Math.floor(age / 60)} min ago`;
        if (age < 48 * 3600) return `${Math.floor(age / 3600)} h ago`;
        return `${Math.floor(age / 86400)} days ago`;
      };
      const age = () => {
        for (const element of document.querySelectorAll("#main .ago")) {
          const text = ago(seconds() + offset - Number(element.dataset.at));
          if (element.textContent !== text) element.textContent = text;
        }
      };
      const readClock = () => { offset = Number(find("main").dataset.now) - seconds(); };

      // The same link, field or disclosure in the new content, so that the keyboard stays where it is.
      const counterpart = (element, fresh) => {
        if (element.id) return fresh.querySelector(`#${CSS.escape(element.id)}`);
        const href = element.getAttribute("href");
        return href ? fresh.querySelector(`a[href="${CSS.escape(href)}"]`) : null;
      };

      let waiting = null; // new content that must not take away what somebody is selecting
      const isSelecting = () => {
        const selection = getSelection();
        return selection && !selection.isCollapsed && find("main").contains(selection.anchorNode);
      };
      const show = (markup) => {
        const old = find("main");
        const fresh = new DOMParser().parseFromString(markup, "text/html").getElementById("main");
        if (!fresh) return;
        if (isSelecting()) { waiting = markup; return; }
        waiting = null;
        for (const open of old.querySelectorAll("details[open][id]")) {
          const same = counterpart(open, fresh);
          if (same) same.open = true;
        }
        const focused = document.activeElement;
        const [x, y] = [scrollX, scrollY];
        const next = old.contains(focused) && focused !== old ? counterpart(focused, fresh) : null;
        old.replaceWith(document.adoptNode(fresh));
        if (next) next.focus({ preventScroll: true });
        scrollTo(x, y);
        if (old.dataset.headline !== fresh.dataset.headline) find("headline").textContent = fresh.dataset.headline;
        readClock();
      };
      document.addEventListener("selectionchange", () => { if (waiting && !isSelecting()) show(waiting); });

      const say = (state, text) => {
        const live = find("live");
        live.hidden = false;
        live.dataset.state = state;
        if (live.textContent !== text) live.textContent = text;
      };
      let source = null;
      let retry = 0;
      const stop = () => { if (source) source.close(); source = null; clearTimeout(retry); };
      const follow = () => {
        stop();
        const url = find("main").dataset.live;
        if (!url) return;
        source = new EventSource(url);
        source.addEventListener("open", () => say("live", "Live"));
        source.addEventListener("page", (event) => { say("live", "Live"); show(event.data); });
        source.addEventListener("login", () => location.reload());
        source.addEventListener("error", async () => {
          say("reconnecting", "Reconnecting…");
          if (!source || source.readyState !== EventSource.CLOSED) return;
          retry = setTimeout(follow, 5000);
          // Nothing comes any more: perhaps because the session has ended, and the page asks for a login now.
          const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" }).catch(() => null);
          if (answer && answer.type === "opaqueredirect") location.reload();
        });
      };
      // A browser has few connections for one server; tabs in the background leave theirs to others.
      document.addEventListener("visibilitychange", () => document.hidden ? stop() : follow());
      addEventListener("pagehide", stop);
      addEventListener("pageshow", (event) => { if (event.persisted) follow(); });

      readClock();
      setInterval(age, 1000);
      follow();
    })();

    """#
