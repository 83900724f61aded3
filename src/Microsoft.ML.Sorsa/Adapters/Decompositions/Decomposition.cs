using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Decompositions;

/// <summary>Where the leading singular triplets of a matrix come from.</summary>
internal abstract class Decomposition
{
    /// <summary>Made anew each time; the randomised form draws from this generator, on the CPU.</summary>
    public static Decomposition Drawn(Generator generator) => new FromGenerator(generator);

    /// <summary>U [out, r], s [r] descending, Vt [r, in], in tensors that the caller owns.</summary>
    /// <param name="weight">W [out, in], float32 or float64.</param>
    /// <param name="rank">r.</param>
    /// <param name="comesAgain">W is a model's own, which others may ask for too.</param>
    public abstract (Tensor U, Tensor S, Tensor Vt) Leading(Tensor weight, int rank, bool comesAgain);

    private sealed class FromGenerator(Generator generator) : Decomposition
    {
        public override (Tensor U, Tensor S, Tensor Vt) Leading(Tensor weight, int rank, bool comesAgain) => TruncatedSvd.Decompose(weight, rank, generator);
    }
}
