package sdk_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"sluice.dev/sdk"
	"sluice.dev/sdk/sdktest"
)

type edge struct {
	Gateway string `json:"gateway"`
}

// weights finds a route by its gateway's name, so that it asks twice.
type weights struct{}

func (weights) Capabilities() []string { return []string{sdk.Verifies} }

func (weights) References(_ sdk.Routing, c edge, found []sdk.Object) ([]sdk.ObjectQuery, error) {
	queries := []sdk.ObjectQuery{{APIVersion: "v1", Kind: "Gateway", Name: c.Gateway}}
	if len(found) > 0 {
		selector := "gateway=" + c.Gateway + ",!off"
		queries = append(queries, sdk.ObjectQuery{APIVersion: "v1", Kind: "Route", LabelSelector: selector})
	}
	return queries, nil
}

func (weights) Route(wanted sdk.Routing, c edge, objects []sdk.Object) ([]sdk.Change, error) {
	if len(objects) < 2 {
		return nil, &sdk.InvalidConfig{Message: "gateway: " + c.Gateway + " has no route"}
	}
	after := objects[1].Clone()
	after.Set(wanted.Canary.Weight, "spec", "canary")
	return sdk.Update(objects[1], after), nil
}

func (w weights) Verify(wanted sdk.Routing, c edge, objects []sdk.Object) (sdk.Verification, error) {
	changes, err := w.Route(wanted, c, objects)
	if len(changes) > 0 {
		return sdk.Pending{Missing: "the route is not as wanted"}, nil
	}
	return sdk.CannotTell{}, err
}

func (weights) Release(_ sdk.Routing, _ edge, objects []sdk.Object) ([]sdk.Change, error) {
	ref := sdk.ObjectRef{APIVersion: "v1", Kind: "Route", Name: objects[1].Name()}
	return []sdk.Change{sdk.Remove{Ref: ref}}, nil
}

func object(t *testing.T, text string) sdk.Object {
	t.Helper()
	object, err := sdk.ParseObject(text)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func TestARouterSeesWhatItAsksForAndNoOtherAndSettles(t *testing.T) {
	gateway := object(t, `{"apiVersion": "v1", "kind": "Gateway", "metadata": {"name": "edge"}}`)
	bare := object(t, `{"apiVersion": "v1", "kind": "Route", "metadata": {"name": "a"}}`)
	off := object(t, `{"apiVersion": "v1", "kind": "Route", "metadata": {"name": "b", "labels": {"gateway": "edge", "off": ""}}}`)
	shop := object(t, `{"apiVersion": "v1", "kind": "Route", "metadata": {"name": "shop", "labels": {"gateway": "edge"}}, "spec": {"canary": 0}}`)
	host := sdktest.New().Has(gateway, bare, off, shop)
	config, fifth := edge{Gateway: "edge"}, sdk.Routing{Canary: sdk.Destination{Weight: 20}}

	early, err := sdktest.Verify(host, weights{}, config, fifth)
	if err != nil || early != (sdk.Pending{Missing: "the route is not as wanted"}) {
		t.Errorf("%v, %v", early, err)
	}
	changes, err := sdktest.Route(host, weights{}, config, fifth)
	if err != nil || len(changes) != 1 || host.Objects[3].At("spec", "canary") != int64(20) {
		t.Fatalf("%v, %v: %v", changes, err, host.Objects)
	}
	again, err := sdktest.Route(host, weights{}, config, fifth)
	if err != nil || len(again) != 0 {
		t.Errorf("what was done is done again: %v, %v", again, err)
	}
	settled, err := sdktest.Verify(host, weights{}, config, fifth)
	if err != nil || settled != (sdk.CannotTell{}) {
		t.Errorf("%v, %v", settled, err)
	}
	if _, err := sdktest.Release(host, weights{}, config, fifth); err != nil {
		t.Error(err)
	}
	if left := []sdk.Object{gateway, bare, off}; !reflect.DeepEqual(host.Objects, left) {
		t.Errorf("%v is left", host.Objects)
	}
}

func TestObjectsAreThoseOfTheNamespace(t *testing.T) {
	gateway := object(t, `{"apiVersion": "v1", "kind": "Gateway", "metadata": {"name": "edge", "namespace": "a"}}`)
	route := object(t, `{"apiVersion": "v1", "kind": "Route", "metadata": {"name": "shop", "namespace": "a", "labels": {"gateway": "edge"}}}`)
	config := edge{Gateway: "edge"}
	changes, err := sdktest.Route(sdktest.New().Has(gateway, route), weights{}, config, sdk.Routing{Namespace: "a"})
	if err != nil || len(changes) != 1 {
		t.Errorf("%v, %v", changes, err)
	}
	_, err = sdktest.Route(sdktest.New().Has(gateway, route), weights{}, config, sdk.Routing{Namespace: "b"})
	if err == nil || !strings.Contains(err.Error(), "no route") {
		t.Errorf("%v", err)
	}
}

func TestABrokenConfigurationIsRefusedByEveryCall(t *testing.T) {
	for _, config := range []string{`[]`, `"text"`, `{"gateway": 1}`, `{"gateway": "a", "more": 1}`} {
		_, routed := sdktest.Route(sdktest.New(), weights{}, config, sdk.Routing{})
		for _, err := range []error{routed, sdktest.ValidateRouter(sdktest.New(), weights{}, config)} {
			var invalid *sdk.InvalidConfig
			if !errors.As(err, &invalid) {
				t.Errorf("%s: %v", config, err)
			}
		}
	}
}

func TestAnObjectIsKeptAsItIs(t *testing.T) {
	text := `{"kind":"X","spec":{"big":9007199254740993,"half":0.5,"list":[{"weight":1}]}}`
	one := object(t, text)
	copied := one.Clone()
	copied.List("spec", "list")[0].Set(uint32(2), "weight")
	copied.Set("there", "new", "path")
	if one.At("spec", "big") != int64(9007199254740993) || one.Text("new", "path") != "" {
		t.Errorf("%v", one)
	}
	if copied.At("spec", "list").([]any)[0].(map[string]any)["weight"] != uint32(2) {
		t.Errorf("%v", copied)
	}
	copied.List("spec", "list")[0].Set(uint32(1), "weight")
	delete(copied, "new")
	if changes := sdk.Update(one, copied); len(changes) != 0 {
		t.Errorf("a number of another type is another number: %v", changes)
	}
	if one.At("spec", "half", "more") != nil || one.List("kind") == nil || one.Text("spec") != "" {
		t.Error("a path that leads nowhere leads somewhere")
	}
	var failed *sdk.Failed
	if _, err := sdk.ParseObject(`[]`); !errors.As(err, &failed) || failed.Code != "bad-object" {
		t.Error(err)
	}
}

func TestWhatDiffersIsNamed(t *testing.T) {
	have := object(t, `{"spec": {"rules": [1], "name": "a"}, "kind": "X"}`)
	for text, path := range map[string]string{
		`{"kind": "X", "spec": {"name": "a", "rules": []}}`: "spec.rules",
		`{"kind": "X"}`: "spec",
		`{"kind": "Y", "spec": {"name": "b", "rules": []}}`: "kind",
	} {
		if found, differs := sdk.FirstDifference(have, object(t, text)); found != path || !differs {
			t.Errorf("%s: %q, %v", text, found, differs)
		}
	}
	if found, differs := sdk.FirstDifference(have, have.Clone()); found != "" || differs {
		t.Errorf("%q, %v", found, differs)
	}
	if found, differs := sdk.FirstDifference(1, 2); found != "" || !differs {
		t.Errorf("%q, %v", found, differs)
	}
}
