package main

import (
	"testing"
	"time"

	"sluice.dev/sdk"
	"sluice.dev/sdk/sdktest"
)

var config = Config{Address: "http://jobs.test", Job: "migrate"}

func host() *sdktest.Host {
	return sdktest.New().Doing(sdk.StepContext{RolloutUID: "u", Revision: "2"})
}

func TestAJobIsStartedOnceAndThenLookedAfter(t *testing.T) {
	running := host().Answers("PUT http://jobs.test/runs/u-2-0", 200, map[string]string{"state": "running"})
	first, err := sdktest.RunStep(running, Plugin{}, config, nil)
	if err != nil || first.Outcome != (sdk.Again{After: 10 * time.Second}) {
		t.Fatalf("%+v, %v", first, err)
	}
	done := host().Answers("GET http://jobs.test/runs/u-2-0", 200, map[string]string{"state": "succeeded"})
	second, err := sdktest.RunStep(done, Plugin{}, config, first.State)
	if err != nil || second.Outcome != (sdk.Done{}) || len(done.Requests) != 1 {
		t.Fatalf("%+v, %v after %d requests", second, err, len(done.Requests))
	}
}

func TestAnAbortBeforeTheFirstCallFindsNoJob(t *testing.T) {
	gone := host().Answers("DELETE http://jobs.test/runs/u-2-0", 404, "")
	if err := sdktest.AbortStep(gone, Plugin{}, config, nil); err != nil || len(gone.Requests) != 1 {
		t.Errorf("%v after %d requests", err, len(gone.Requests))
	}
}
