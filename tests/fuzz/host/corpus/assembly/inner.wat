(component
  (component $c (instance $i) (export "sluice:step/step@0.1.0" (instance $i)))
  (instance $i (instantiate $c))
  (@custom "sluice:manifest" "{\"name\": \"a\"}")
  (type $t (record (field "a" u32) (field "b" string)))
  (export "sluice:step/step@0.1.0" (instance $i)))
