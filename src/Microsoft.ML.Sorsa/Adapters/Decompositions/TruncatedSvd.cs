using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Decompositions;

/// <summary>
/// The top r singular triplets of a matrix: W ≈ U diag(s) Vt with U [out, r], s [r] descending, Vt [r, in]. Either by the exact
/// decomposition, or by randomised block Krylov iteration (Musco and Musco, arXiv 1504.05477), whichever is cheaper; on a card the
/// randomised one is <see cref="SubspaceIteration"/>.
/// </summary>
internal static class TruncatedSvd
{
    private const int Oversampling = 10;

    /// <summary>Six rounds keep singular values to 3e-4 and 0.99996 of the energy on a slowly decaying spectrum.</summary>
    private const int Iterations = 6;

    /// <param name="weight">W [out, in], float32 or float64.</param>
    /// <param name="rank">r, from 1 to min(out, in).</param>
    /// <param name="generator">Where the randomised form draws its start from; it alone decides every bit.</param>
    /// <returns>Contiguous tensors that the caller owns.</returns>
    public static (Tensor U, Tensor S, Tensor Vt) Decompose(Tensor weight, int rank, Generator generator)
    {
        long smaller = Math.Min(weight.shape[0], weight.shape[1]);
        if (rank < 1 || rank > smaller)
        {
            throw new ArgumentOutOfRangeException(nameof(rank), rank, string.Create(CultureInfo.InvariantCulture,
                $"A matrix [{weight.shape[0]}, {weight.shape[1]}] has ranks from 1 to {smaller}."));
        }

        return IsRandomizedCheaper(smaller, rank) ? Randomized(weight, rank, generator) : Exact(weight, rank);
    }

    /// <summary>
    /// The Krylov basis has (Iterations + 1)(r + Oversampling) columns; measured, it pays while that is below half of min(out, in).
    /// </summary>
    public static bool IsRandomizedCheaper(long smaller, int rank) => 2 * (Iterations + 1) * (rank + Oversampling) < smaller;

    /// <summary>
    /// What a decomposition takes while it is done, in bytes. Exact: W in working precision and LAPACK's copy of it, U and Vt of all
    /// triplets. Randomised: what orthogonalising leaves until the end, the basis K = 7 (r + 10) columns wide and its decompositions.
    /// </summary>
    public static long Working(AdaptedShape shape, int rank, bool isExact)
    {
        (long rows, long columns, long smaller) = (shape.Out, shape.In, Math.Min(shape.Out, shape.In));
        long size = shape.WorkingSize;
        if (isExact || !IsRandomizedCheaper(smaller, rank))
        {
            return size * ((2 * shape.Count) + (smaller * (rows + columns)));
        }

        long width = rank + Oversampling, basis = (Iterations + 1) * width;
        long orthogonalised = 2L * Iterations * (Iterations + 1) * rows * width * sizeof(float);
        return orthogonalised + (2 * basis * rows * sizeof(float)) + (2 * basis * rows * sizeof(double)) + (shape.Count * size)
            + (sizeof(double) * ((3 * basis * columns) + (5 * basis * basis)));
    }

    public static (Tensor U, Tensor S, Tensor Vt) Exact(Tensor weight, int rank)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (Tensor u, Tensor s, Tensor vt) = linalg.svd(weight.to(WorkingPrecision.For(weight)), fullMatrices: false);
        (u, s, vt) = (u.narrow(1, 0, rank), s.narrow(0, 0, rank), vt.narrow(0, 0, rank));
        return u.dtype == ScalarType.Float64 ? Rounded(scope, weight.dtype, u, s, vt) : WithinBasis(scope, weight, u, rank);
    }

    /// <summary>By the form that is the faster on the weight's device.</summary>
    public static (Tensor U, Tensor S, Tensor Vt) Randomized(Tensor weight, int rank, Generator generator) =>
        weight.device_type == DeviceType.CPU ? Krylov(weight, rank, generator) : Iterated(weight, rank, generator);

    /// <summary>Block Krylov iteration.</summary>
    public static (Tensor U, Tensor S, Tensor Vt) Krylov(Tensor weight, int rank, Generator generator)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var blocks = new List<Tensor> { linalg.qr(weight.mm(Start(weight, rank + Oversampling, generator))).Q };
        for (int i = 0; i < Iterations; i++)
        {
            // Orthogonalised against all earlier blocks, twice: once is not enough in float32.
            Tensor next = weight.mm(weight.t().mm(blocks[^1]));
            for (int round = 0; round < 2; round++)
            {
                foreach (Tensor block in blocks)
                {
                    next = next - block.mm(block.t().mm(next));
                }
            }

            blocks.Add(linalg.qr(next).Q);
        }

        return WithinBasis(scope, weight, cat([.. blocks], 1), rank);
    }

    /// <summary>
    /// The randomised form for a card, where a wide Krylov basis costs more than it spares: the work goes into products, and what is
    /// decomposed column by column is hardly wider than r.
    /// </summary>
    public static (Tensor U, Tensor S, Tensor Vt) Iterated(Tensor weight, int rank, Generator generator)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        int width = rank + Math.Max(2 * Oversampling, rank / 2);
        Tensor columns = SubspaceIteration.Columns(weight, Start(weight, width, generator));
        Tensor basis = linalg.qr(columns.to(ScalarType.Float64)).Q;
        Tensor within = weight.t().mm(basis.to(weight.dtype)).to(ScalarType.Float64);

        // The decomposition of Wᵀ basis is that of its triangle, which is small; its vectors are orthonormal whatever the triangle is.
        (Tensor rows, Tensor triangle) = linalg.qr(within);
        (Tensor v, Tensor s, Tensor ut) = linalg.svd(triangle, fullMatrices: false);
        return Rounded(
            scope, weight.dtype, basis.mm(ut.narrow(0, 0, rank).t()), s.narrow(0, 0, rank), rows.mm(v.narrow(1, 0, rank)).t());
    }

    /// <summary>Random numbers [in, width], drawn on the CPU: a seed means the same everywhere.</summary>
    private static Tensor Start(Tensor weight, int width, Generator generator) => randn(
        [weight.shape[1], Math.Min(width, weight.shape.Min())], weight.dtype, CPU, generator: generator).to(weight.device);

    /// <summary>
    /// The best triplets whose left vectors lie in the span of these columns. What the columns were rounded by hardly moves the span; what
    /// follows is in float64, except for the product with W on a card.
    /// </summary>
    private static (Tensor U, Tensor S, Tensor Vt) WithinBasis(DisposeScope scope, Tensor weight, Tensor columns, int rank)
    {
        Tensor basis = linalg.qr(columns.to(ScalarType.Float64)).Q;
        ScalarType type = WorkingPrecision.For(weight);
        Tensor within = basis.t().to(type).mm(weight.to(type)).to(ScalarType.Float64);
        (Tensor u, Tensor s, Tensor vt) = linalg.svd(within, fullMatrices: false);
        return Rounded(scope, weight.dtype, basis.mm(u.narrow(1, 0, rank)), s.narrow(0, 0, rank), vt.narrow(0, 0, rank));
    }

    private static (Tensor U, Tensor S, Tensor Vt) Rounded(DisposeScope scope, ScalarType type, Tensor u, Tensor s, Tensor vt) =>
        scope.MoveToOuter(u.to(type, copy: true).contiguous(), s.to(type, copy: true), vt.to(type, copy: true).contiguous());
}
