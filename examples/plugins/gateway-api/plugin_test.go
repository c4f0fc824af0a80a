package main

import (
	"errors"
	"strings"
	"testing"

	"sluice.dev/sdk"
	"sluice.dev/sdk/sdktest"
)

const route = `{
	"apiVersion": "gateway.networking.k8s.io/v1",
	"kind": "HTTPRoute",
	"metadata": {"name": "shop", "generation": 1},
	"spec": {"rules": [
		{"backendRefs": [{"name": "stable", "port": 80}, {"name": "canary", "port": 80}]},
		{"matches": [{"path": {"type": "Exact", "value": "/health"}}], "backendRefs": [{"name": "stable", "port": 80}]}
	]}
}`

var config = Config{HTTPRoute: "shop"}

func wanting(canary uint32, routes ...sdk.HeaderRoute) sdk.Routing {
	return sdk.Routing{
		Stable:        sdk.Destination{Service: "stable", Weight: 100 - canary},
		Canary:        sdk.Destination{Service: "canary", Weight: canary},
		HeaderRoutes:  routes,
		ManagedRoutes: []string{"first", "second"},
	}
}

func byUser(name string, how sdk.How) sdk.HeaderRoute {
	match := sdk.HeaderMatch{Name: "x-user", Value: sdk.StringMatch{How: how, Text: "me"}}
	return sdk.HeaderRoute{Name: name, Headers: []sdk.HeaderMatch{match}}
}

func host(t *testing.T) *sdktest.Host {
	t.Helper()
	object, err := sdk.ParseObject(route)
	if err != nil {
		t.Fatal(err)
	}
	return sdktest.New().Has(object)
}

func names(host *sdktest.Host) string {
	var names []string
	for _, rule := range host.Objects[0].List("spec", "rules") {
		names = append(names, rule.Text("name"))
	}
	return strings.Join(names, ",")
}

func TestRoutesByHeaderComeInTheOrderOfTheManagedOnesAndGo(t *testing.T) {
	host := host(t)
	both := wanting(20, byUser("second", sdk.Exact), byUser("first", sdk.Regex))
	for _, step := range []struct {
		wanted sdk.Routing
		names  string
	}{{both, "first,second,,"}, {wanting(40, byUser("second", sdk.Exact)), "second,,"}, {wanting(40), ","}} {
		if _, err := sdktest.Route(host, Plugin{}, config, step.wanted); err != nil || names(host) != step.names {
			t.Fatalf("%s, expected %s: %v", names(host), step.names, err)
		}
	}
	if weight := host.Objects[0].List("spec", "rules")[1].List("backendRefs")[0].At("weight"); weight != nil {
		t.Errorf("a rule without a canary has the weight %v", weight)
	}
}

func TestAReleasedRouteIsTheStableVersionsAlone(t *testing.T) {
	host := host(t)
	if _, err := sdktest.Route(host, Plugin{}, config, wanting(20, byUser("first", sdk.Exact))); err != nil {
		t.Fatal(err)
	}
	if _, err := sdktest.Release(host, Plugin{}, config, wanting(20, byUser("first", sdk.Exact))); err != nil {
		t.Fatal(err)
	}
	backends := host.Objects[0].List("spec", "rules")[0].List("backendRefs")
	if names(host) != "," || backends[0].At("weight") != int64(100) || backends[1].At("weight") != int64(0) {
		t.Errorf("%v", host.Objects[0])
	}
}

func TestAPrefixOfAHeaderIsRefusedByTheRoutesName(t *testing.T) {
	_, err := sdktest.Route(host(t), Plugin{}, config, wanting(20, byUser("first", sdk.Prefix)))
	var invalid *sdk.InvalidConfig
	if !errors.As(err, &invalid) || !strings.Contains(err.Error(), "setHeaderRoute first") {
		t.Error(err)
	}
}
