(component
  (instance $i)
  (export "sluice:metric/provider@0.1.0" (instance $i))
  (export "sluice:step/step@0.1.0" (instance $i)))
