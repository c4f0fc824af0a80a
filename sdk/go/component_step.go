//go:build wasip1

package sdk

import (
	witTypes "go.bytecodealliance.org/pkg/wit/types"

	export "sluice.dev/sdk/internal/wit/export_sluice_step_step"
	wiretypes "sluice.dev/sdk/internal/wit/sluice_plugin_types"
	wire "sluice.dev/sdk/internal/wit/sluice_step_step"
)

// ExportStep makes a step the component's, once, from a function init.
func ExportStep[C, S any](step Step[C, S]) {
	functions := StepFunctionsOf(step)
	export.Step = export.Functions{
		Validate: func(config string) export.Done { return done(functions.Validate(config)) },
		Run: func(ctx wire.StepContext) export.Answer {
			return progressed(functions.Run(stepContext(ctx), ctx.Config, stateOf(ctx)))
		},
		Terminate: func(ctx wire.StepContext) export.Done {
			return done(functions.Terminate(stepContext(ctx), ctx.Config, stateOf(ctx)))
		},
		Abort: func(ctx wire.StepContext) export.Done {
			return done(functions.Abort(stepContext(ctx), ctx.Config, stateOf(ctx)))
		},
	}
}

func stepContext(ctx wire.StepContext) StepContext {
	return StepContext{
		Namespace:  ctx.Namespace,
		Rollout:    ctx.Rollout,
		RolloutUID: ctx.RolloutUid,
		Revision:   ctx.Revision,
		StepIndex:  ctx.StepIndex,
	}
}

func stateOf(ctx wire.StepContext) *string {
	if ctx.State.IsNone() {
		return nil
	}
	state := ctx.State.Some()
	return &state
}

func progressed(p Progress, err error) export.Answer {
	result := wire.StepResult{State: witTypes.None[string](), Message: witTypes.None[string]()}
	if err == nil {
		result.Outcome, err = wireStepOutcome(p.Outcome)
	}
	if err == nil && p.State != nil {
		var text string
		text, err = marshal(p.State)
		result.State = witTypes.Some(text)
	}
	if err != nil {
		return witTypes.Err[wire.StepResult, wiretypes.PluginError](pluginError(err))
	}
	if p.Message != "" {
		result.Message = witTypes.Some(p.Message)
	}
	return witTypes.Ok[wire.StepResult, wiretypes.PluginError](result)
}

func wireStepOutcome(outcome StepOutcome) (wire.StepOutcome, error) {
	switch outcome := outcome.(type) {
	case Done:
		return wire.MakeStepOutcomeDone(), nil
	case Refused:
		return wire.MakeStepOutcomeFailed(outcome.Why), nil
	case Again:
		return wire.MakeStepOutcomeAgain(millis(outcome.After).SomeOr(0)), nil
	default:
		return wire.StepOutcome{}, &Failed{Code: "no-progress", Message: "the progress has no outcome"}
	}
}
