package sdktest

import (
	"encoding/json"

	"sluice.dev/sdk"
)

// Doing sets the step that is done.
func (h *Host) Doing(ctx sdk.StepContext) *Host {
	h.step = ctx
	return h
}

// RunStep calls a step's Run with what an earlier call left behind, or nil. The configuration and
// the state are JSON, or values to be written as JSON, and are read the way the controller's are.
// The State of the progress is a [json.RawMessage], as the next call is given it.
func RunStep[C, S any](h *Host, step sdk.Step[C, S], config, state any) (sdk.Progress, error) {
	defer sdk.UseHost(sdk.UseHost(h))
	progress, err := sdk.StepFunctionsOf(step).Run(h.step, text(config), stateText(state))
	if err != nil || progress.State == nil {
		return progress, err
	}
	bytes, err := json.Marshal(progress.State)
	progress.State = json.RawMessage(bytes)
	return progress, err
}

// TerminateStep calls a step's Terminate.
func TerminateStep[C, S any](h *Host, step sdk.Step[C, S], config, state any) error {
	defer sdk.UseHost(sdk.UseHost(h))
	return sdk.StepFunctionsOf(step).Terminate(h.step, text(config), stateText(state))
}

// AbortStep calls a step's Abort.
func AbortStep[C, S any](h *Host, step sdk.Step[C, S], config, state any) error {
	defer sdk.UseHost(sdk.UseHost(h))
	return sdk.StepFunctionsOf(step).Abort(h.step, text(config), stateText(state))
}

// ValidateStep calls a step's Validate.
func ValidateStep[C, S any](h *Host, step sdk.Step[C, S], config any) error {
	defer sdk.UseHost(sdk.UseHost(h))
	return sdk.StepFunctionsOf(step).Validate(text(config))
}

func stateText(state any) *string {
	if state == nil {
		return nil
	}
	text := text(state)
	return &text
}
