import fc from 'fast-check';

/**
 * fast-check makes at most 10 elements unless a size says otherwise, whatever `maxLength` says: what breaks at the 11th
 * element, the second byte of a length or a grown buffer was never tried. With this, `maxLength` is the length that is
 * reached (test/property-sizes.spec.ts).
 */
fc.configureGlobal({ defaultSizeToMaxWhenMaxSpecified: true });
