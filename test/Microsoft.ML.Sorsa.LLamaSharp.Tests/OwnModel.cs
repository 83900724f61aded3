using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.LLamaSharp.Tests;

/// <summary>A model as this library runs it: ids, logits and greedy continuations of the network inside a transformer.</summary>
internal sealed class OwnModel(SorsaTransformer transformer) : IDisposable
{
    public SorsaTransformer Transformer => transformer;

    public CausalLM Network => transformer.Model.Network;

    public TextTokenizer Tokenizer => (TextTokenizer)transformer.Model.Prompts.Tokenizer;

    public static OwnModel Load(string folder) => new(new MLContext().Sorsa().LoadModel(folder));

    /// <summary>The ids of a text; without special tokens in it where they are not to be parsed.</summary>
    public int[] Tokenize(string text, bool addSpecial, bool parseSpecial) =>
        Tokenizer.Encode(text, addSpecial, parseSpecial || text.Length == 0 ? null : [0..text.Length]);

    /// <summary>The logits behind every id.</summary>
    public float[][] Logits(IReadOnlyList<int> ids)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor input = tensor(ids.Select(id => (long)id).ToArray(), [1, ids.Count]);
        Tensor logits = Network.Logits(Network.Forward(Network.Embed(input))).to(ScalarType.Float32)[0];
        return [.. Enumerable.Range(0, ids.Count).Select(at => logits[at].data<float>().ToArray())];
    }

    /// <summary>The likeliest continuation, id by id.</summary>
    public int[] Continue(IReadOnlyList<int> prompt, int count)
    {
        using DisposeScope scope = NewDisposeScope();
        var generator = new TokenGenerator(new CachedModel(Network), new GenerationOptions { MaxNewTokens = count }, endTokens: []);
        GenerationRow row = generator.CreateRow([.. prompt], index: null);
        generator.Complete([row], CancellationToken.None);
        return [.. row.NewIds];
    }

    public void Dispose() => transformer.Dispose();
}
