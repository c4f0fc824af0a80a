//! The component shell: loads, links, limits, grants and calls components.
