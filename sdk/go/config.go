package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"
)

// ParseConfig reads a configuration, with errors of the type [InvalidConfig] that name the field.
//
// C is a struct with tags for JSON. A field that is there and not in C is refused. A field of C is
// required, unless it is a pointer or its tag says omitempty or omitzero.
func ParseConfig[C any](text string) (C, error) {
	var config C
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return config, &InvalidConfig{"no JSON: " + err.Error()}
	}
	if err := check(reflect.TypeFor[C](), value, ""); err != nil {
		return config, err
	}
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return config, refused(wrong.Field, "must be %s, and is a %s", words(wrong.Type), wrong.Value)
		}
		return config, &InvalidConfig{err.Error()}
	}
	return config, nil
}

func refused(path, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	return &InvalidConfig{text}
}

func words(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return words(t.Elem())
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	default:
		return "an integer"
	}
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// check finds fields that are unknown or missing. What has the wrong type is left to the decoder.
func check(t reflect.Type, value any, path string) error {
	if t.Kind() == reflect.Pointer {
		if value == nil {
			return nil
		}
		return check(t.Elem(), value, path)
	}
	if t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		members, ok := value.(map[string]any)
		if !ok {
			return refused(path, "must be an object, and is %s", shown(value))
		}
		return checkMembers(t, members, path)
	case reflect.Slice:
		items, _ := value.([]any)
		for index, item := range items {
			if err := check(t.Elem(), item, fmt.Sprintf("%s[%d]", path, index)); err != nil {
				return err
			}
		}
	case reflect.Map:
		members, _ := value.(map[string]any)
		for _, name := range sorted(members) {
			if err := check(t.Elem(), members[name], below(path, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkMembers(t reflect.Type, members map[string]any, path string) error {
	known := map[string]reflect.StructField{}
	var names []string
	for index := range t.NumField() {
		field := t.Field(index)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		known[name], names = field, append(names, name)
		_, given := members[name]
		optional := field.Type.Kind() == reflect.Pointer || strings.Contains(options, "omit")
		if !given && !optional && !anyUnknown(members, t) {
			return refused(below(path, name), "is missing")
		}
	}
	for _, name := range sorted(members) {
		field, ok := known[name]
		if !ok {
			return refused(below(path, name), "unknown field, expected %s", strings.Join(names, ", "))
		}
		if err := check(field.Type, members[name], below(path, name)); err != nil {
			return err
		}
	}
	return nil
}

// anyUnknown is whether a field is not in t. A misspelt name is also a missing one, and the first
// says more.
func anyUnknown(members map[string]any, t reflect.Type) bool {
	known := map[string]bool{}
	for index := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(index).Tag.Get("json"), ",")
		if name == "" {
			name = t.Field(index).Name
		}
		known[name] = true
	}
	for name := range members {
		if !known[name] {
			return true
		}
	}
	return false
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func sorted(members map[string]any) []string {
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func shown(value any) string {
	text, err := json.Marshal(value)
	if err != nil || len(text) > 40 {
		return fmt.Sprintf("a %T", value)
	}
	return string(text)
}
