package sdk_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"sluice.dev/sdk"
	"sluice.dev/sdk/sdktest"
)

type header struct {
	Key string `json:"key"`
}

type config struct {
	Address string            `json:"address"`
	Count   int               `json:"count,omitempty"`
	Share   *float64          `json:"share"`
	Headers []header          `json:"headers,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
}

func TestErrorsNameTheField(t *testing.T) {
	for text, expected := range map[string]string{
		`[]`:                               `must be an object, and is []`,
		`{`:                                `no JSON`,
		`{}`:                               `address: is missing`,
		`{"address": 5}`:                   `address: must be a string, and is a number`,
		`{"address": "a", "count": 1.5}`:   `count: must be an integer, and is a number 1.5`,
		`{"address": "a", "headers":[{}]}`: `headers[0].key: is missing`,
		`{"address": "a", "headers": 1}`:   `headers: must be a list, and is a number`,
		`{"adress": "a"}`:                  `adress: unknown field, expected address, count`,
	} {
		_, err := sdk.ParseConfig[config](text)
		var invalid *sdk.InvalidConfig
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), expected) {
			t.Errorf("%s: %v, expected %s", text, err, expected)
		}
	}
	whole := `{"address": "a", "count": 2, "share": 0.5, "headers": [{"key": "k"}], "labels": {"a": "b"}}`
	read, err := sdk.ParseConfig[config](whole)
	if err != nil || read.Count != 2 || *read.Share != 0.5 || read.Labels["a"] != "b" {
		t.Errorf("%+v, %v", read, err)
	}
}

type poll struct{}

func (poll) Validate(c config) error {
	if c.Address == "" {
		return &sdk.InvalidConfig{Message: "address: must not be empty"}
	}
	return nil
}

func (poll) Run(ctx sdk.Context, c config) (sdk.Measurement, error) {
	sdk.Log(sdk.Info, "started", "metric", ctx.Metric)
	token, err := sdk.Secret("token")
	if err != nil {
		return sdk.Measurement{}, err
	}
	var answer struct{ ID int }
	request := sdk.Post(c.Address).With("x-token", string(token)).Sending(map[string]any{"now": sdk.Now().UnixMilli()})
	if err := request.Within(5 * time.Second).JSON(&answer); err != nil {
		return sdk.Measurement{}, err
	}
	return sdk.Measured(sdk.Running{Token: answer.ID, After: 10 * time.Second}), nil
}

func (poll) Resume(_ sdk.Context, c config, token json.RawMessage) (sdk.Measurement, error) {
	var id int
	if err := json.Unmarshal(token, &id); err != nil {
		panic(err)
	}
	var share float64
	if err := sdk.Get(c.Address).Query("q", "a b&c").JSON(&share); err != nil {
		return sdk.Measurement{}, err
	}
	return sdk.Measured(sdk.Number(share)).With("id", string(token)), nil
}

const address = "http://poll/"

func TestEverythingThatTheHostGivesIsScriptedAndRecorded(t *testing.T) {
	host := sdktest.New().Answers("POST http://poll/", 200, map[string]int{"ID": 7})
	host.Grants("token", []byte("s")).At(time.UnixMilli(1000))
	measured, err := sdktest.Run(host, poll{}, config{Address: address})
	if err != nil || measured.Outcome != (sdk.Running{Token: 7, After: 10 * time.Second}) {
		t.Fatalf("%+v, %v", measured, err)
	}
	if got := string(host.Requests[0].Body); got != `{"now":1000}` {
		t.Errorf("sent %s", got)
	}
	if host.Lines[0].Message != "started" || host.Requests[0].Headers[0].Value != "s" {
		t.Errorf("%+v, %+v", host.Lines, host.Requests[0].Headers)
	}
}

func TestAnswersComeInTurnAndTheLastOneStays(t *testing.T) {
	busy := &sdk.Response{Status: 503, Headers: []sdk.Header{{Name: "Retry-After", Value: "3"}}, Body: []byte("busy")}
	host := sdktest.New().Responds("GET http://poll/", busy).Answers("GET http://poll/", 200, 0.5)
	_, err := sdktest.Resume(host, poll{}, config{Address: address}, 7)
	var transient *sdk.Transient
	if !errors.As(err, &transient) || transient.After != 3*time.Second || err.Error() != "HTTP 503: busy" {
		t.Fatalf("%v", err)
	}
	for range 2 {
		measured, err := sdktest.Resume(host, poll{}, config{Address: address}, 7)
		if err != nil || measured.Outcome != sdk.Number(0.5) || measured.Metadata["id"] != "7" {
			t.Fatalf("%+v, %v", measured, err)
		}
	}
	if url := host.Requests[0].URL; url != "http://poll/?q=a+b%26c" {
		t.Errorf("asked %s", url)
	}
}

func TestWhatGoesWrongHasACode(t *testing.T) {
	code := func(err error) string {
		var failed *sdk.Failed
		if !errors.As(err, &failed) {
			t.Fatalf("%v has no code", err)
		}
		return failed.Code
	}
	_, err := sdktest.Run(sdktest.New(), poll{}, config{Address: address})
	if code(err) != "not-granted" {
		t.Error(err)
	}
	for body, expected := range map[string]string{"<html>": "bad-json", "": "bad-json"} {
		host := sdktest.New().Answers("GET http://poll/", 200, body)
		if _, err := sdktest.Resume(host, poll{}, config{Address: address}, 7); code(err) != expected {
			t.Errorf("%q: %v", body, err)
		}
	}
	host := sdktest.New().Answers("GET http://poll/", 404, "")
	if _, err := sdktest.Resume(host, poll{}, config{Address: address}, 7); code(err) != "http-404" {
		t.Error(err)
	}
	if _, err := sdktest.Resume(sdktest.New(), poll{}, config{Address: address}, "old"); code(err) != "panic" {
		t.Error(err)
	}
	if err := sdktest.Validate(sdktest.New(), poll{}, config{}); err == nil {
		t.Error("an empty address is valid")
	}
}
