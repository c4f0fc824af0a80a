// The plugin writes down what is wanted, as it came, and removes what is old.
package main

import (
	"fmt"

	"sluice.dev/sdk"
)

const apiVersion = "example.com/v1"

type config struct {
	Name string `json:"name"`
}

type object = map[string]any

type echo struct{}

func (echo) Capabilities() []string {
	return []string{sdk.HeaderRoutes, sdk.MirrorRoutes, sdk.AdditionalDestinations, sdk.PingPong}
}

func (echo) References(_ sdk.Routing, c config, _ []sdk.Object) ([]sdk.ObjectQuery, error) {
	return []sdk.ObjectQuery{
		{APIVersion: apiVersion, Kind: "Echo", Name: c.Name},
		{APIVersion: apiVersion, Kind: "Old", Namespace: "attic", LabelSelector: "of=" + c.Name},
	}, nil
}

func (echo) Route(wanted sdk.Routing, c config, objects []sdk.Object) ([]sdk.Change, error) {
	before := sdk.Object{}
	var gone []sdk.Change
	for _, one := range objects {
		if one.Kind() == "Echo" {
			before = one
			continue
		}
		place := one.Text("metadata", "namespace")
		gone = append(gone, sdk.Remove{Ref: sdk.ObjectRef{
			APIVersion: apiVersion, Kind: one.Kind(), Namespace: place, Name: one.Name(),
		}})
	}
	after := before.Clone()
	after.Set(apiVersion, "apiVersion")
	after.Set("Echo", "kind")
	after.Set(c.Name, "metadata", "name")
	after.Set(wanted.Namespace, "metadata", "namespace")
	after.Set(spec(wanted), "spec")
	return append(sdk.Update(before, after), gone...), nil
}

func spec(wanted sdk.Routing) object {
	return object{
		"namespace":     wanted.Namespace,
		"rollout":       wanted.Rollout,
		"rolloutUid":    wanted.RolloutUID,
		"stable":        destination(wanted.Stable),
		"canary":        destination(wanted.Canary),
		"additional":    each(wanted.Additional, destination),
		"totalWeight":   wanted.TotalWeight,
		"headerRoutes":  each(wanted.HeaderRoutes, header),
		"mirrorRoutes":  each(wanted.MirrorRoutes, mirror),
		"managedRoutes": append([]string{}, wanted.ManagedRoutes...),
		"extensions":    wanted.Extensions,
	}
}

func each[A, B any](items []A, to func(A) B) []B {
	list := []B{}
	for _, item := range items {
		list = append(list, to(item))
	}
	return list
}

func destination(d sdk.Destination) object {
	return object{"service": d.Service, "podHash": d.PodHash, "weight": d.Weight}
}

func match(m sdk.StringMatch) object {
	return object{[]string{"exact", "prefix", "regex"}[m.How]: m.Text}
}

func headers(all []sdk.HeaderMatch) []object {
	return each(all, func(h sdk.HeaderMatch) object {
		return object{"name": h.Name, "value": match(h.Value)}
	})
}

func header(route sdk.HeaderRoute) object {
	return object{"name": route.Name, "headers": headers(route.Headers)}
}

func mirror(route sdk.MirrorRoute) object {
	ways := each(route.Matches, func(m sdk.MirrorMatch) object {
		way := object{"headers": headers(m.Headers)}
		if m.Method != nil {
			way["method"] = match(*m.Method)
		}
		if m.Path != nil {
			way["path"] = match(*m.Path)
		}
		return way
	})
	return object{"name": route.Name, "matches": ways, "percentage": route.Percentage}
}

func (e echo) Verify(wanted sdk.Routing, c config, objects []sdk.Object) (sdk.Verification, error) {
	changes, err := e.Route(wanted, c, objects)
	if len(changes) > 0 {
		return sdk.Pending{Missing: fmt.Sprintf("%d to go", len(changes))}, nil
	}
	return sdk.Converged{}, err
}

func (echo) Release(last sdk.Routing, c config, objects []sdk.Object) ([]sdk.Change, error) {
	for _, one := range objects {
		if one.Kind() == "Echo" {
			ref := sdk.ObjectRef{APIVersion: apiVersion, Kind: "Echo", Namespace: last.Namespace, Name: c.Name}
			return []sdk.Change{sdk.Remove{Ref: ref}}, nil
		}
	}
	return nil, nil
}

func init() { sdk.ExportRouter(echo{}) }

func main() {}
