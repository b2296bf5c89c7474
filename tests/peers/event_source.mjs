// Read an event stream and report what came, in JSON:
//   node event_source.mjs URL COUNT TYPE ...      COUNT: events after which it closes
import { EventSource } from "eventsource";

const [url, count, ...types] = process.argv.slice(2);
const seen = { events: [], opened: 0, errors: [] };
const source = new EventSource(url);

function end() {
  source.close();
  console.log(JSON.stringify(seen));
}

function received(event) {
  seen.events.push([event.type, event.data, event.lastEventId]);
  if (seen.events.length === Number(count)) end();
}

source.onopen = () => { seen.opened += 1; };
source.onerror = event => {
  seen.errors.push(event.code ?? 0);
  if (source.readyState === EventSource.CLOSED) end();
};
for (const type of ["message", ...types]) source.addEventListener(type, received);
