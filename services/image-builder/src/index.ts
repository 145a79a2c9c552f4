export { ImageBuilderModule } from './image-builder.module.ts';
