// node --import ./deploy/source-maps.mjs …: traces show Ditto's own sources. With --enable-source-maps the maps of all
// packages would be kept in memory too, 12 MB in DSS.
import module from 'node:module';

module.setSourceMapsSupport(true, { nodeModules: false, generatedCode: false });
