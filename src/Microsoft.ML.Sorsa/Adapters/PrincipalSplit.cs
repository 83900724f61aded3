using System.Globalization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>Which singular triplets of a matrix are taken, counted from the largest.</summary>
/// <param name="First">The first of them, from 0; null: the trailing ones.</param>
/// <param name="Rank">How many.</param>
internal readonly record struct TripletSlice(int? First, int Rank)
{
    /// <summary>The triplets, decomposed as far as it takes; in tensors that the caller owns.</summary>
    public (Tensor U, Tensor S, Tensor Vt) Of(Tensor weight, Generator generator)
    {
        long smaller = weight.shape.Min();
        long first = First ?? smaller - Rank;
        if (first < 0 || first + Rank > smaller)
        {
            throw new ArgumentOutOfRangeException(nameof(weight), string.Create(CultureInfo.InvariantCulture,
                $"A matrix [{weight.shape[0]}, {weight.shape[1]}] has {smaller} singular triplets, not those from {first} to {first + Rank - 1}."));
        }

        if (first == 0)
        {
            return TruncatedSvd.Decompose(weight, Rank, generator);
        }

        // The small triplets of a randomised decomposition are not those of the matrix.
        using var scope = NewDisposeScope();
        (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Exact(weight, (int)(first + Rank));
        return scope.MoveToOuter(u.narrow(1, first, Rank).clone().contiguous(), s.narrow(0, first, Rank).clone(), vt.narrow(0, first, Rank).clone().contiguous());
    }
}

/// <summary>
/// W = W_r + c · U diag(s) Vt: some singular triplets of W, which train, and what is left, which does not. The decomposition runs in
/// float32, or in float64 where W is.
/// </summary>
/// <param name="Residual">W_r [out, in].</param>
/// <param name="U">[out, r].</param>
/// <param name="S">[r], descending.</param>
/// <param name="Vt">[r, in].</param>
/// <param name="Error">What quantising W_r cost; null where it is not quantised.</param>
internal sealed record PrincipalSplit(FrozenWeight Residual, Tensor U, Tensor S, Tensor Vt, QuantizationError? Error)
{
    /// <summary>Splits W, which is left as it is. The caller owns the parts.</summary>
    /// <param name="weight">W [out, in].</param>
    /// <param name="slice">Which triplets train.</param>
    /// <param name="scale">c.</param>
    /// <param name="generator">Where the randomised decomposition draws from; on the CPU.</param>
    public static PrincipalSplit Of(Tensor weight, TripletSlice slice, double scale, Generator generator)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor wide = weight.to(AdapterStart.TypeFor(weight));
        (Tensor u, Tensor s, Tensor vt) = slice.Of(wide, generator);
        Tensor residual = (wide - (u * s.Times(scale)).mm(vt)).to(weight.dtype);
        return new PrincipalSplit(
            new PlainWeight(residual.DetachFromDisposeScope()), u.DetachFromDisposeScope(), s.DetachFromDisposeScope(), vt.DetachFromDisposeScope(), null);
    }

    /// <summary>
    /// The same with W_r in NF4: it is the residual that is quantised, as in QPiSSA, so that the triplets stay exact. In further rounds the triplets are those of
    /// what quantising left over, W − NF4(W_r), and W_r is quantised anew; the round of the smallest error counts.
    /// </summary>
    /// <param name="weight">W [out, in].</param>
    /// <param name="slice">Which triplets train.</param>
    /// <param name="scale">c.</param>
    /// <param name="rounds">How often the two take turns; at least 1.</param>
    /// <param name="generator">Where the randomised decomposition draws from; on the CPU.</param>
    public static PrincipalSplit Quantized(Tensor weight, TripletSlice slice, double scale, int rounds, Generator generator)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor wide = weight.to(AdapterStart.TypeFor(weight));
        (Tensor u, Tensor s, Tensor vt) = slice.Of(wide, generator);
        PrincipalSplit first = Round(u, s, vt), best = first, last = first;
        for (int round = 1; round < rounds; round++)
        {
            (u, s, vt) = slice.Of(wide - last.Residual.Dense(wide.dtype), generator);
            last = Round(u, s.Times(1 / scale), vt);
            best = last.Error!.Initial < best.Error!.Initial ? last : best;
        }

        using var plain = new Nf4Weight(wide);
        best.U.DetachFromDisposeScope();
        best.S.DetachFromDisposeScope();
        best.Vt.DetachFromDisposeScope();
        return best with { Error = new QuantizationError(QuantizationError.Relative(wide, plain, null), first.Error!.Initial, best.Error!.Initial) };

        PrincipalSplit Round(Tensor u, Tensor s, Tensor vt)
        {
            Tensor product = (u * s.Times(scale)).mm(vt);
            var residual = new Nf4Weight(wide - product);
            return new PrincipalSplit(residual, u, s, vt, new QuantizationError(0, null, QuantizationError.Relative(wide, residual, product)));
        }
    }
}
