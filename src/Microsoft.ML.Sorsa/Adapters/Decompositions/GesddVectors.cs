using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Decompositions;

/// <summary>
/// The leading singular vectors of a matrix on its smaller side, with the signs of LAPACK's sgesdd. Signs of singular vectors are free, but
/// not to GaLore: its moments outlive a projector, so that the signs of the next one tell what a moment is added to. They follow from the
/// steps that reduce the matrix, and libraries choose these by the shape, each in its own way (MKL reduces wide matrices at once and tall
/// ones by QR, whatever their sides). Here the choice is that of Netlib's LAPACK, by which golden/galore was made: QR or LQ
/// first where one side is 11/6 of the other or more. In float32, as in the authors' code: in float64 MKL's signs are others.
/// </summary>
internal static class GesddVectors
{
    /// <param name="matrix">[out, in].</param>
    /// <param name="rank">r, at most the smaller side.</param>
    /// <returns>Vt [r, in] where out ≥ in, else U [out, r]; it belongs to the dispose scope that is open.</returns>
    public static Tensor OfSmallerSide(Tensor matrix, int rank)
    {
        (long rows, long columns) = (matrix.shape[0], matrix.shape[1]);
        Tensor single = matrix.to(ScalarType.Float32);
        bool isLong = 6 * Math.Max(rows, columns) >= 11 * Math.Min(rows, columns);
        if (rows < columns)
        {
            Tensor wide = isLong ? linalg.qr(single.t()).R.t() : single;
            return linalg.svd(wide, fullMatrices: false).U.narrow(1, 0, rank);
        }

        // With columns of zeros a tall matrix is square, which no library reduces by QR; they change no other number.
        Tensor tall = rows == columns ? single
            : isLong ? linalg.qr(single).R
            : cat([single, zeros([rows, rows - columns], single.dtype, single.device)], 1);
        return linalg.svd(tall, fullMatrices: false).Vh.narrow(0, 0, rank).narrow(1, 0, columns);
    }

    /// <summary>What it takes while it is done, in bytes: the square, LAPACK's copy of it, U and Vt.</summary>
    public static long Working(AdaptedShape shape)
    {
        long smaller = Math.Min(shape.Out, shape.In), larger = Math.Max(shape.Out, shape.In);
        bool isLong = 6 * larger >= 11 * smaller;
        long side = isLong || shape.Out == shape.In ? smaller : larger;
        return sizeof(float) * (shape.Out < shape.In && !isLong
            ? (2 * shape.Count) + (smaller * (shape.Out + shape.In))
            : (4 * side * side) + (isLong ? 2 * shape.Count : 0));
    }
}
