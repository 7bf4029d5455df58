// What dicom-parser exports and its own declarations leave out.
import type { ByteArray, ByteArrayParser, DataSet as DataSetType, Element } from "dicom-parser";

declare module "dicom-parser" {
  export const littleEndianByteArrayParser: ByteArrayParser;
  export const bigEndianByteArrayParser: ByteArrayParser;
  export const DataSet: {
    new (parser: ByteArrayParser, bytes: ByteArray, elements: Record<string, Element>): DataSetType;
  };
}
