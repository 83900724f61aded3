using System.Globalization;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Decompositions;

/// <summary>Which singular triplets of a matrix are taken, counted from the largest.</summary>
/// <param name="First">The first of them, from 0; null: the trailing ones.</param>
/// <param name="Rank">How many.</param>
internal readonly record struct TripletSlice(int? First, int Rank)
{
    /// <summary>The triplets, decomposed as far as it takes; in tensors that the caller owns.</summary>
    public (Tensor U, Tensor S, Tensor Vt) Of(Tensor weight, Decomposition decomposition, bool comesAgain = true)
    {
        long smaller = weight.shape.Min();
        long first = First ?? smaller - Rank;
        if (first < 0 || first + Rank > smaller)
        {
            throw new ArgumentOutOfRangeException(nameof(weight), string.Create(CultureInfo.InvariantCulture,
                $"A matrix [{weight.shape[0]}, {weight.shape[1]}] has {smaller} singular triplets, "
                + $"not those from {first} to {first + Rank - 1}."));
        }

        if (first == 0)
        {
            return decomposition.Leading(weight, Rank, comesAgain);
        }

        // The small triplets of a randomised decomposition are not those of the matrix.
        using var scope = NewDisposeScope();
        (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Exact(weight, (int)(first + Rank));
        return scope.MoveToOuter(
            u.narrow(1, first, Rank).contiguous(), s.narrow(0, first, Rank).clone(), vt.narrow(0, first, Rank).clone());
    }
}

/// <summary>
/// W = W_r + c · U diag(s) Vt: some singular triplets of W, which train; what is left, which does not, is <see cref="Residual"/>. The
/// triplets are float32, or float64 where W is.
/// </summary>
/// <param name="U">[out, r].</param>
/// <param name="S">[r], descending.</param>
/// <param name="Vt">[r, in].</param>
/// <param name="Error">What quantising W_r costs; null where it is not quantised.</param>
/// <param name="QuantizedResidual">W_r in NF4, for whoever asked for it; null where it is not quantised.</param>
internal sealed record PrincipalSplit(
    Tensor U, Tensor S, Tensor Vt, QuantizationError? Error = null, Nf4Weight? QuantizedResidual = null)
{
    /// <summary>What taking the triplets out of W takes while it is done, in bytes: the decomposition, then W_r.</summary>
    /// <param name="shape">Of W.</param>
    /// <param name="rank">r.</param>
    /// <param name="areLeading">The leading triplets are taken.</param>
    /// <param name="quantized">W_r is kept in NF4.</param>
    public static long Working(AdaptedShape shape, int rank, bool areLeading, bool quantized)
    {
        long wide = shape.IsNarrow || quantized ? shape.Count * sizeof(float) : 0;
        long residual = (shape.Count * shape.WorkingSize * 2)
            + (shape.Count * ((quantized ? sizeof(float) : shape.TypeSize) + sizeof(float)));
        return wide + Math.Max(TruncatedSvd.Working(shape, rank, isExact: !areLeading), residual);
    }

    /// <summary>The triplets of W, which is left as it is. The caller owns them.</summary>
    /// <param name="weight">W [out, in].</param>
    /// <param name="slice">Which triplets train.</param>
    /// <param name="decomposition">Where the leading triplets come from.</param>
    public static PrincipalSplit Of(Tensor weight, TripletSlice slice, Decomposition decomposition)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (Tensor u, Tensor s, Tensor vt) = slice.Of(weight.to(AdapterStart.TypeFor(weight)), decomposition);
        return new PrincipalSplit(u.DetachFromDisposeScope(), s.DetachFromDisposeScope(), vt.DetachFromDisposeScope());
    }

    /// <summary>
    /// The same where W_r will be in NF4: it is the residual that is quantised, as in QPiSSA, so that the triplets stay exact. In further
    /// rounds the triplets are those of what quantising left over, W − NF4(W_r), and W_r is quantised anew; the round of the smallest
    /// error counts.
    /// </summary>
    /// <param name="weight">W [out, in].</param>
    /// <param name="slice">Which triplets train.</param>
    /// <param name="scale">c.</param>
    /// <param name="rounds">How often the two take turns; at least 1.</param>
    /// <param name="decomposition">Where the leading triplets come from.</param>
    /// <param name="start">B and A of the product that training starts from; null: c · U diag(s) and Vt.</param>
    public static PrincipalSplit Quantized(
        Tensor weight, TripletSlice slice, double scale, int rounds, Decomposition decomposition,
        Func<Tensor, Tensor, Tensor, (Tensor B, Tensor A)>? start = null)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        start ??= (u, s, vt) => (u * s.Times(scale), vt);
        Tensor wide = weight.to(AdapterStart.TypeFor(weight)), rest = wide;
        double first = 0;
        PrincipalSplit? best = null;
        for (int round = 0; round < rounds; round++)
        {
            // Before the first round nothing was quantised yet, and U diag(s) Vt is W's own part, to which c comes as it is.
            (Tensor u, Tensor s, Tensor vt) = slice.Of(rest, decomposition, comesAgain: round == 0);
            s = round == 0 ? s : s.Times(1 / scale);
            (Tensor b, Tensor a) = start(u, s, vt);
            Tensor product = WorkingPrecision.Product(b, a);
            using Tensor difference = wide - product;
            var residual = new Nf4Weight(difference);
            difference.Dispose();
            double error = QuantizationError.Relative(wide, residual, product);
            first = round == 0 ? error : first;
            rest = round + 1 < rounds ? wide - residual.Dense(wide.dtype) : rest;
            if (best is null || error < best.Error!.Initial)
            {
                best?.QuantizedResidual!.Dispose();
                best = new PrincipalSplit(u, s, vt, new QuantizationError(null, first, error), residual);
            }
            else
            {
                residual.Dispose();
            }
        }

        scope.Detach(best!.U, best.S, best.Vt);
        return best;
    }

    /// <summary>W_r as it is kept: the one that is quantised already, or that of the product that training starts from.</summary>
    public FrozenWeight Frozen(Linear linear, Tensor startB, Tensor startA) =>
        QuantizedResidual ?? Residual(linear, startB, startA, quantized: false);

    /// <summary>
    /// W_r = W − B A, of the product that training starts from, rounded once to the projection's type, or quantised. The caller owns it.
    /// </summary>
    public static FrozenWeight Residual(Linear linear, Tensor startB, Tensor startA, bool quantized)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor rest = WorkingPrecision.Product(startB, startA).neg_().Accumulate(linear.weight);
        return quantized ? new Nf4Weight(rest) : new PlainWeight(rest.to(linear.weight.dtype).DetachFromDisposeScope());
    }
}
