// The objects that a router sees in unit tests, and what its changes make of them.

const ROUNDS = 4;

const place = (namespace, { apiVersion, kind, metadata: { name, namespace: own } }) =>
  JSON.stringify([apiVersion, kind, own ?? namespace, name]);

// A label selector of the forms that routers need: a=b, a==b, a!=b, a, !a.
function fits(selector, labels) {
  return selector
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean)
    .every((part) => {
      if (/[( ]/.test(part)) throw new Error(`tests know no selectors such as ${selector}`);
      const [, not, name, unlike, value] = /^(!?)([^!=]+)(?:(!=|==?)(.*))?$/.exec(part) ?? [];
      if (name === undefined) throw new Error(`${selector} is no selector`);
      if (not) return labels[name] === undefined;
      if (unlike === undefined) return labels[name] !== undefined;
      return (labels[name] === value) === (unlike !== "!=");
    });
}

function find(objects, namespace, query) {
  const wanted = query.namespace ?? namespace;
  return objects.filter(
    ({ apiVersion, kind, metadata }) =>
      apiVersion === query.apiVersion &&
      kind === query.kind &&
      (metadata.namespace ?? namespace) === wanted &&
      (query.name == null || metadata.name === query.name) &&
      (query.labelSelector == null || fits(query.labelSelector, metadata.labels ?? {})),
  );
}

/** What a router sees: the objects that it asks for and no other, as texts. */
export function seen(objects, namespace, references) {
  const asked = new Set();
  const found = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const name = ({ apiVersion, kind, namespace: own, name, labelSelector }) =>
      JSON.stringify([apiVersion, kind, own, name, labelSelector]);
    const fresh = references([...found]).filter((query) => !asked.has(name(query)));
    if (fresh.length === 0) break;
    for (const query of fresh) {
      asked.add(name(query));
      found.push(...find(objects, namespace, query).map((object) => JSON.stringify(object)));
    }
  }
  return found;
}

/** The objects when some changes were made. */
export function applied(objects, namespace, changes) {
  const all = new Map(objects.map((object) => [place(namespace, object), object]));
  for (const { put, remove } of changes) {
    if (put) all.set(place(namespace, put), JSON.parse(JSON.stringify(put)));
    else {
      const { name, namespace: own } = remove;
      all.delete(place(namespace, { ...remove, metadata: { name, namespace: own } }));
    }
  }
  return [...all.values()];
}
