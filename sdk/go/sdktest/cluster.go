package sdktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sluice.dev/sdk"
)

// rounds is how often a router may ask for more objects in view of what was found.
const rounds = 4

// Has sets the objects that are there. A router sees those that it asks for, and no other.
func (h *Host) Has(objects ...sdk.Object) *Host {
	h.Objects = objects
	return h
}

// Route calls a router's Route with what it asks for, and makes the changes: Objects are those
// afterwards. What is not said of the routing is empty; weights add up to 100, in the namespace
// default.
func Route[C any](h *Host, router sdk.Router[C], config any, wanted sdk.Routing) ([]sdk.Change, error) {
	return change(h, router, sdk.RouterFunctionsOf(router).Route, config, wanted)
}

// Release calls a router's Release as [Route] does Route.
func Release[C any](h *Host, router sdk.Router[C], config any, last sdk.Routing) ([]sdk.Change, error) {
	return change(h, router, sdk.RouterFunctionsOf(router).Release, config, last)
}

// Verify calls a router's Verify with what it asks for.
func Verify[C any](h *Host, router sdk.Router[C], config any, wanted sdk.Routing) (sdk.Verification, error) {
	return ask(h, router, sdk.RouterFunctionsOf(router).Verify, config, whole(wanted))
}

// ValidateRouter calls a router's Validate.
func ValidateRouter[C any](h *Host, router sdk.Router[C], config any) error {
	defer sdk.UseHost(sdk.UseHost(h))
	return sdk.RouterFunctionsOf(router).Validate(text(config))
}

func whole(wanted sdk.Routing) sdk.Routing {
	if wanted.Namespace == "" {
		wanted.Namespace = "default"
	}
	if wanted.TotalWeight == 0 {
		wanted.TotalWeight = 100
	}
	if wanted.Extensions == nil {
		wanted.Extensions = json.RawMessage("{}")
	}
	return wanted
}

func change[C any](
	h *Host,
	router sdk.Router[C],
	call func(sdk.Routing, string, []string) ([]sdk.Change, error),
	config any,
	wanted sdk.Routing,
) ([]sdk.Change, error) {
	wanted = whole(wanted)
	changes, err := ask(h, router, call, config, wanted)
	if err == nil {
		err = h.apply(changes, wanted.Namespace)
	}
	return changes, err
}

func ask[C, A any](
	h *Host,
	router sdk.Router[C],
	call func(sdk.Routing, string, []string) (A, error),
	config any,
	wanted sdk.Routing,
) (A, error) {
	defer sdk.UseHost(sdk.UseHost(h))
	seen, err := see(h, router, text(config), wanted)
	if err != nil {
		var none A
		return none, err
	}
	return call(wanted, text(config), seen)
}

// see is the objects that a router asks for and no other, as texts.
func see[C any](h *Host, router sdk.Router[C], config string, wanted sdk.Routing) ([]string, error) {
	asked := map[sdk.ObjectQuery]bool{}
	var found []string
	for range rounds {
		queries, err := sdk.RouterFunctionsOf(router).References(wanted, config, found)
		if err != nil {
			return nil, err
		}
		queries = slices.DeleteFunc(queries, func(query sdk.ObjectQuery) bool { return asked[query] })
		if len(queries) == 0 {
			break
		}
		for _, query := range queries {
			asked[query] = true
			for _, object := range h.Objects {
				fits, err := isWanted(object, query, wanted.Namespace)
				if err != nil {
					return nil, err
				}
				if fits {
					found = append(found, text(object))
				}
			}
		}
	}
	return found, nil
}

func place(object sdk.Object, namespace string) sdk.ObjectRef {
	if own := object.Text("metadata", "namespace"); own != "" {
		namespace = own
	}
	version := object.Text("apiVersion")
	return sdk.ObjectRef{APIVersion: version, Kind: object.Kind(), Namespace: namespace, Name: object.Name()}
}

func isWanted(object sdk.Object, query sdk.ObjectQuery, namespace string) (bool, error) {
	at := place(object, namespace)
	if query.Namespace != "" {
		namespace = query.Namespace
	}
	if at.APIVersion != query.APIVersion || at.Kind != query.Kind || at.Namespace != namespace {
		return false, nil
	}
	if query.Name != "" && query.Name != at.Name {
		return false, nil
	}
	return selects(query.LabelSelector, object)
}

// selects knows selectors of the forms that routers need: a=b, a==b, a!=b, a, !a.
func selects(selector string, object sdk.Object) (bool, error) {
	labels, _ := object.At("metadata", "labels").(map[string]any)
	for _, part := range strings.Split(selector, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if strings.ContainsAny(part, "( ") {
			return false, fmt.Errorf("tests know no selectors such as %q", selector)
		}
		name, value, equals := strings.Cut(part, "=")
		unlike := strings.HasSuffix(name, "!")
		name = strings.TrimSuffix(name, "!")
		bare, absent := strings.CutPrefix(name, "!")
		label, has := labels[bare]
		fits := has != absent
		if equals {
			fits = (has && label == strings.TrimPrefix(value, "=")) != unlike
		}
		if !fits {
			return false, nil
		}
	}
	return true, nil
}

// apply makes changes in order. What is put is what JSON makes of it, as in the controller.
func (h *Host) apply(changes []sdk.Change, namespace string) error {
	objects := slices.Clone(h.Objects)
	for _, change := range changes {
		var at sdk.ObjectRef
		var put sdk.Object
		switch change := change.(type) {
		case sdk.Put:
			read, err := sdk.ParseObject(text(change.Object))
			if err != nil {
				return err
			}
			at, put = place(read, namespace), read
		case sdk.Remove:
			at = change.Ref
			if at.Namespace == "" {
				at.Namespace = namespace
			}
		}
		index := slices.IndexFunc(objects, func(object sdk.Object) bool { return place(object, namespace) == at })
		switch {
		case index < 0 && put != nil:
			objects = append(objects, put)
		case index >= 0 && put != nil:
			objects[index] = put
		case index >= 0:
			objects = slices.Delete(objects, index, index+1)
		}
	}
	h.Objects = objects
	return nil
}
