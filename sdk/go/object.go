package sdk

import (
	"bytes"
	"encoding/json"
	"sort"
	"strings"
)

// Object is an object of Kubernetes, as in its YAML. Whole numbers are int64, others float64.
type Object map[string]any

// ParseObject reads an object.
func ParseObject(text string) (Object, error) {
	var object Object
	decoder := json.NewDecoder(strings.NewReader(text))
	// A float64 would not keep every int64, and what is put back would differ.
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		return nil, &Failed{Code: "bad-object", Message: "cannot read an object: " + err.Error()}
	}
	for name, value := range object {
		object[name] = numbers(value)
	}
	return object, nil
}

func numbers(value any) any {
	switch value := value.(type) {
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return whole
		}
		number, _ := value.Float64()
		return number
	case map[string]any:
		for name, item := range value {
			value[name] = numbers(item)
		}
	case []any:
		for index, item := range value {
			value[index] = numbers(item)
		}
	}
	return value
}

// Clone is a copy that can be changed.
func (o Object) Clone() Object { return clone(map[string]any(o)).(map[string]any) }

func clone(value any) any {
	switch value := value.(type) {
	case map[string]any:
		members := make(map[string]any, len(value))
		for name, item := range value {
			members[name] = clone(item)
		}
		return members
	case []any:
		items := make([]any, len(value))
		for index, item := range value {
			items[index] = clone(item)
		}
		return items
	default:
		return value
	}
}

// Name is the object's own.
func (o Object) Name() string { return o.Text("metadata", "name") }

// Kind is the object's.
func (o Object) Kind() string { return o.Text("kind") }

// At is what is at a path, or nil.
func (o Object) At(path ...string) any {
	var value any = map[string]any(o)
	for _, name := range path {
		members, _ := value.(map[string]any)
		value = members[name]
	}
	return value
}

// Text is the text at a path, or "".
func (o Object) Text(path ...string) string {
	text, _ := o.At(path...).(string)
	return text
}

// List is the objects in the list at a path. They are the object's own: what is set in them is set
// in it.
func (o Object) List(path ...string) []Object {
	items, _ := o.At(path...).([]any)
	objects := make([]Object, 0, len(items))
	for _, item := range items {
		if members, ok := item.(map[string]any); ok {
			objects = append(objects, members)
		}
	}
	return objects
}

// Set puts a value at a path, with the objects on the way. A value is what JSON makes of it.
func (o Object) Set(value any, path ...string) {
	if len(path) == 0 {
		return
	}
	members := map[string]any(o)
	for _, name := range path[:len(path)-1] {
		next, ok := members[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			members[name] = next
		}
		members = next
	}
	members[path[len(path)-1]] = value
}

// Update makes one object of the other: no change if they are the same.
func Update(before, after Object) []Change {
	if same(before, after) {
		return nil
	}
	return []Change{Put{after}}
}

// same compares as JSON, to which a uint32 and an int64 are one number.
func same(a, b any) bool {
	one, err := json.Marshal(a)
	if err != nil {
		return false
	}
	other, err := json.Marshal(b)
	return err == nil && bytes.Equal(one, other)
}

// FirstDifference is the path of the first field in which two objects differ, such as spec.rules,
// and whether they differ. Lists are not looked into; for two values of which one is no object, the
// path is empty.
func FirstDifference(have, want any) (string, bool) {
	if same(have, want) {
		return "", false
	}
	one, other := membersOf(have), membersOf(want)
	if one == nil || other == nil {
		return "", true
	}
	var names []string
	for name := range one {
		names = append(names, name)
	}
	for name := range other {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		before, had := one[name]
		after, has := other[name]
		if had != has {
			return name, true
		}
		if rest, differs := FirstDifference(before, after); differs {
			return strings.TrimSuffix(name+"."+rest, "."), true
		}
	}
	return "", true
}

func membersOf(value any) map[string]any {
	switch value := value.(type) {
	case Object:
		return value
	case map[string]any:
		return value
	default:
		return nil
	}
}
