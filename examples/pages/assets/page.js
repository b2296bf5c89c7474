// What pages with a log share: elements by their id, and a log that stays at its end.

const at = id => document.getElementById(id);

const LINES = 500;

/** Add a line to the log. Whatever comes from outside is text, never markup. */
function show(text, kind = "system") {
  const log = at("log");
  const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40; // nobody has scrolled up to read
  const line = document.createElement("li");
  const time = document.createElement("time");
  const what = document.createElement("span");
  time.textContent = new Date().toLocaleTimeString([], { hour12: false });
  what.textContent = text;
  line.className = kind;
  line.append(time, what);
  log.append(line);
  while (log.childElementCount > LINES) log.firstElementChild.remove();
  if (follows) log.scrollTop = log.scrollHeight;
}

/** Show "connected", "connecting" or "not connected", and the one button that makes sense then. */
function showState(state, isOn) {
  at("status").textContent = state;
  at("status").className = `status ${state === "connected" ? "open" : state === "connecting" ? "waiting" : ""}`;
  const from = isOn ? at("connect") : at("disconnect");
  const to = isOn ? at("disconnect") : at("connect");
  const hadFocus = document.activeElement === from;
  from.hidden = true;
  to.hidden = false;
  if (hadFocus) to.focus(); // a keyboard is not left without a place
}

at("clear").onclick = () => at("log").replaceChildren();
if (location.pathname !== "/") at("up").hidden = false;
