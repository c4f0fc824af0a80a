package sdk_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice.dev/sdk"
	"sluice.dev/sdk/sdktest"
)

type place struct {
	Address string `json:"address"`
}

type asked struct {
	Times int `json:"times"`
}

type patient struct{}

func (patient) Validate(c place) error {
	if c.Address == "" {
		return &sdk.InvalidConfig{Message: "address: name a server"}
	}
	return nil
}

func (patient) Run(on sdk.StepContext, c place, before *asked) (sdk.Progress, error) {
	now := asked{Times: 1}
	if before != nil {
		now.Times += before.Times
	}
	var answer string
	if err := sdk.Get(c.Address + "/" + on.Key()).JSON(&answer); err != nil {
		return sdk.Progress{}, err
	}
	switch {
	case answer == "yes":
		return sdk.Progressed(sdk.Done{}).Keeping(now), nil
	case now.Times == 3:
		return sdk.Progressed(sdk.Refused{Why: "asked three times"}), nil
	default:
		again := sdk.Progressed(sdk.Again{After: 5 * time.Second})
		return again.Keeping(now).Saying("asks again"), nil
	}
}

var server = place{Address: "http://s"}

func answering(answer string) *sdktest.Host {
	host := sdktest.New().Doing(sdk.StepContext{RolloutUID: "u", Revision: "7"})
	return host.Answers("GET http://s/u-7-0", 200, fmt.Sprintf("%q", answer))
}

func TestWhatACallLeavesBehindIsWhatTheNextOneFinds(t *testing.T) {
	var state any
	for times := 1; times <= 2; times++ {
		progress, err := sdktest.RunStep(answering("no"), patient{}, server, state)
		if err != nil || progress.Outcome != (sdk.Again{After: 5 * time.Second}) {
			t.Fatalf("%+v, %v", progress, err)
		}
		text := fmt.Sprintf("%s", progress.State)
		if text != fmt.Sprintf(`{"times":%d}`, times) || progress.Message != "asks again" {
			t.Fatalf("left %s behind, and said %s", text, progress.Message)
		}
		state = progress.State
	}
	done, err := sdktest.RunStep(answering("yes"), patient{}, server, state)
	if err != nil || done.Outcome != (sdk.Done{}) || done.State == nil {
		t.Errorf("%+v, %v", done, err)
	}
	refused, err := sdktest.RunStep(answering("no"), patient{}, server, state)
	if err != nil || refused.Outcome != (sdk.Refused{Why: "asked three times"}) {
		t.Errorf("%+v, %v", refused, err)
	}
}

func TestAStateOfAnotherVersionIsAnErrorAndNotANo(t *testing.T) {
	for _, state := range []string{`"old"`, `null`, `[]`, `{"times": "x"}`, `{"times": 1, "other": 2}`} {
		host := answering("yes")
		_, err := sdktest.RunStep(host, patient{}, server, state)
		var failed *sdk.Failed
		if !errors.As(err, &failed) || failed.Code != "bad-state" {
			t.Errorf("%s: %v", state, err)
		}
		if len(host.Requests) > 0 {
			t.Errorf("%s: something was done on its behalf", state)
		}
	}
}

func TestAConfigurationIsCheckedByItsTypeAndByTheStep(t *testing.T) {
	for config, part := range map[string]string{`{}`: "address", `{"address": ""}`: "name a server"} {
		_, ran := sdktest.RunStep(answering("yes"), patient{}, config, nil)
		for _, err := range []error{ran, sdktest.ValidateStep(sdktest.New(), patient{}, config)} {
			var invalid *sdk.InvalidConfig
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v", config, err)
			}
		}
	}
	if err := sdktest.ValidateStep(sdktest.New(), patient{}, server); err != nil {
		t.Error(err)
	}
}

func TestAStepThatHasNothingToUndoCanBeStoppedAndUndone(t *testing.T) {
	if err := sdktest.TerminateStep(sdktest.New(), patient{}, server, nil); err != nil {
		t.Error(err)
	}
	if err := sdktest.AbortStep(sdktest.New(), patient{}, server, asked{Times: 1}); err != nil {
		t.Error(err)
	}
}
