import fc from 'fast-check';

// that a property fails is enough: the smallest case that fails costs many more runs
fc.configureGlobal({ ...fc.readConfigureGlobal(), endOnFailure: true });
