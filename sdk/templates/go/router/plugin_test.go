package main

import (
	"errors"
	"testing"

	"sluice.dev/sdk"
	"sluice.dev/sdk/sdktest"
)

const route = `{
	"apiVersion": "gateway.example.com/v1",
	"kind": "WeightedRoute",
	"metadata": {"name": "shop", "generation": 1},
	"spec": {"backends": [
		{"service": "shop-stable", "weight": 100},
		{"service": "shop-canary", "weight": 0}
	]}
}`

func TestWeightsAreMovedOnce(t *testing.T) {
	object, err := sdk.ParseObject(route)
	if err != nil {
		t.Fatal(err)
	}
	host := sdktest.New().Has(object)
	config, wanted := Config{Route: "shop"}, sdk.Routing{
		Stable: sdk.Destination{Service: "shop-stable", Weight: 80},
		Canary: sdk.Destination{Service: "shop-canary", Weight: 20},
	}
	changes, err := sdktest.Route(host, Plugin{}, config, wanted)
	backends := host.Objects[0].List("spec", "backends")
	if err != nil || len(changes) != 1 || backends[1].At("weight") != int64(20) {
		t.Fatalf("%v, %v", changes, err)
	}
	again, err := sdktest.Route(host, Plugin{}, config, wanted)
	if err != nil || len(again) != 0 {
		t.Errorf("moved again: %v, %v", again, err)
	}
}

func TestARouteMustBeNamed(t *testing.T) {
	err := sdktest.ValidateRouter(sdktest.New(), Plugin{}, Config{})
	var invalid *sdk.InvalidConfig
	if !errors.As(err, &invalid) {
		t.Error(err)
	}
}
