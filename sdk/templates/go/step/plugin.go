// The plugin runs a job on a server between two weights, and waits for it.
package main

import (
	"time"

	"sluice.dev/sdk"
)

// Config is what a user writes under config.
type Config struct {
	// Address is the server, such as http://jobs.shop.
	Address string `json:"address"`
	// Job is which job it runs.
	Job string `json:"job"`
}

// Started is what one call leaves behind for the next.
type Started struct {
	URL string `json:"url"`
}

// Plugin is the step.
type Plugin struct{}

// Run does the step, or goes on with it.
func (Plugin) Run(ctx sdk.StepContext, config Config, started *Started) (sdk.Progress, error) {
	url := place(ctx, config, started)
	request := sdk.Get(url)
	if started == nil {
		request = (&sdk.Request{Method: "PUT", URL: url}).Sending(map[string]string{"job": config.Job})
	}
	var answer struct {
		State string `json:"state"`
	}
	if err := request.JSON(&answer); err != nil {
		return sdk.Progress{}, err
	}
	switch answer.State {
	case "succeeded":
		return sdk.Progressed(sdk.Done{}).Keeping(Started{url}), nil
	case "failed":
		return sdk.Progressed(sdk.Refused{Why: "the job " + config.Job + " failed"}), nil
	case "running":
		again := sdk.Progressed(sdk.Again{After: 10 * time.Second})
		return again.Keeping(Started{url}).Saying("waits for the job %s", config.Job), nil
	default:
		return sdk.Progress{}, &sdk.Failed{
			Code:    "odd-state",
			Message: "the answer names no state of a job",
		}
	}
}

// Terminate stops the job, since the release goes on without it.
func (Plugin) Terminate(ctx sdk.StepContext, config Config, started *Started) error {
	return stop(place(ctx, config, started))
}

// Abort stops the job, since the release is taken back.
func (Plugin) Abort(ctx sdk.StepContext, config Config, started *Started) error {
	return stop(place(ctx, config, started))
}

// place is where the job of a step is. It has the step's own name, so that starting it twice starts
// it once, and an abort finds it without a state.
func place(ctx sdk.StepContext, config Config, started *Started) string {
	if started != nil {
		return started.URL
	}
	return config.Address + "/runs/" + ctx.Key()
}

// stop stops a job. One that is not there is as good as one that was stopped.
func stop(url string) error {
	answer, err := (&sdk.Request{Method: "DELETE", URL: url}).Send()
	if err != nil || answer.Status == 404 {
		return err
	}
	return answer.Success()
}

func init() { sdk.ExportStep(Plugin{}) }

// A component has no main, and a Go program needs one.
func main() {}
