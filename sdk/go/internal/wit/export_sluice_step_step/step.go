// Package export_sluice_step_step is what the generated exports call. The SDK puts the author's
// step behind it, which it cannot import itself without a circle.
package export_sluice_step_step

import (
	witTypes "go.bytecodealliance.org/pkg/wit/types"

	"sluice.dev/sdk/internal/wit/sluice_plugin_types"
	"sluice.dev/sdk/internal/wit/sluice_step_step"
)

// Answer is how far a step is or why that cannot be told.
type Answer = witTypes.Result[sluice_step_step.StepResult, sluice_plugin_types.PluginError]

// Done is nothing or why it could not be done.
type Done = witTypes.Result[witTypes.Unit, sluice_plugin_types.PluginError]

// Functions are those of a step.
type Functions struct {
	Validate  func(config string) Done
	Run       func(ctx sluice_step_step.StepContext) Answer
	Terminate func(ctx sluice_step_step.StepContext) Done
	Abort     func(ctx sluice_step_step.StepContext) Done
}

// Step is the component's step.
var Step Functions

// Validate is called by the host.
func Validate(config string) Done { return Step.Validate(config) }

// Run is called by the host.
func Run(ctx sluice_step_step.StepContext) Answer { return Step.Run(ctx) }

// Terminate is called by the host.
func Terminate(ctx sluice_step_step.StepContext) Done { return Step.Terminate(ctx) }

// Abort is called by the host.
func Abort(ctx sluice_step_step.StepContext) Done { return Step.Abort(ctx) }
