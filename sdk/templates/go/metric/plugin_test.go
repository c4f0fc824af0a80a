package main

import (
	"testing"

	"sluice.dev/sdk"
	"sluice.dev/sdk/sdktest"
)

var config = Config{Address: "http://rates.test", Service: "shop"}

func TestARateIsANumber(t *testing.T) {
	host := sdktest.New().Answers("GET http://rates.test/rates", 200, map[string]any{"rate": 0.02})
	measured, err := sdktest.Run(host, Plugin{}, config)
	if err != nil || measured.Outcome != sdk.Number(0.02) {
		t.Fatalf("measured %v, %v", measured, err)
	}
	if url := host.Requests[0].URL; url != "http://rates.test/rates?service=shop" {
		t.Errorf("asked %s", url)
	}
}
