using LLama;
using LLama.Native;
using Microsoft.ML.Sorsa.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.LLamaSharp.Tests;

/// <summary>llama.cpp computes from a GGUF file what this library computes from the folder.</summary>
[TestClass]
[TestCategory("Gguf")]
public sealed class LogitsTests
{
    private const double Float32Limit = 2e-3, Q8Share = 2e-2, RoundedShare = 1e-2;

    private const string Story =
        "A toy costs 10 dollars. Dan buys 8 of them. How many dollars does he pay? Lily shares 40 candles equally among 8 friends. "
        + "How many candles does each friend get? Each gets 40 / 8 = 5.";

    [TestMethod]
    public void TheBundledModel() => CompareText(TestData.TinyLlama);

    [TestMethod]
    public void SmolLM2() => CompareText(TestData.Require(TestData.SmolLM2));

    [TestMethod]
    [DataRow(GgufType.F16)]
    [DataRow(GgufType.BF16)]
    [DataRow(GgufType.Q8_0)]
    public void TheBundledModelRounded(GgufType type) => CompareRounded(TestData.TinyLlama, type);

    [TestMethod]
    [DataRow(GgufType.F16)]
    [DataRow(GgufType.BF16)]
    [DataRow(GgufType.Q8_0)]
    public void SmolLM2Rounded(GgufType type) => CompareRounded(TestData.Require(TestData.SmolLM2), type);

    /// <summary>
    /// Queries and keys of few heads, heads of other sizes than hidden / heads, biases, a head of its own, each way of stretching
    /// positions. The texts are as long as the models' positions allow, but for the window, within which llama.cpp computes the same.
    /// </summary>
    [TestMethod]
    [DynamicData(nameof(GoldenModels))]
    public void AGoldenModel(string name, int length)
    {
        using var folder = new TemporaryFolder();
        using OwnModel own = OwnModel.Load(ModelFolders.Golden(name, folder.Path));
        int[] ids = Ids(own, length);

        Compare(own.Logits(ids), Theirs(own, GgufType.F32, ids), _ => Float32Limit);
    }

    /// <summary>
    /// Rounding the weights of these models, random ones and 32 wide, moves single logits by up to 3.6e-2 of the largest, whoever computes
    /// then. So they are compared with what this library computes from weights that went through a plain Q8_0.
    /// </summary>
    [TestMethod]
    [DynamicData(nameof(GoldenModels))]
    public void AGoldenModelInQ8(string name, int length)
    {
        using var folder = new TemporaryFolder();
        using OwnModel own = OwnModel.Load(ModelFolders.Golden(name, folder.Path));
        int[] ids = Ids(own, Math.Min(length, 8));
        float[][] theirs = Theirs(own, GgufType.Q8_0, ids);
        RoundToQ8(own);

        Compare(own.Logits(ids), theirs, largest => Q8Share * largest);
    }

    [TestMethod]
    public void TheBundledModelInQ8AsTheClientMakesIt() => CompareQuantizers(TestData.TinyLlama);

    [TestMethod]
    public void SmolLM2InQ8AsTheClientMakesIt() => CompareQuantizers(TestData.Require(TestData.SmolLM2));

    [TestMethod]
    public void TheBundledModelInQ8AsTheClientReadsIt() => CompareReading(TestData.TinyLlama);

    [TestMethod]
    public void SmolLM2InQ8AsTheClientReadsIt() => CompareReading(TestData.Require(TestData.SmolLM2));

    public static IEnumerable<object[]> GoldenModels =>
    [
        ["llama-bias-headdim", 100], ["llama-dynamic-rope", 32], ["llama-gqa-tied", 100], ["llama-linear-rope", 100], ["llama-mha", 100],
        ["llama-sharded-bf16", 100], ["llama-v5-config", 100], ["llama-yarn-rope", 100], ["llama3-rope", 100], ["mistral-headdim", 100],
        ["mistral-v5-config", 8], ["mistral-window", 8],
    ];

    private static void CompareText(string folder)
    {
        using OwnModel own = OwnModel.Load(folder);
        int[] ids = own.Tokenize(Story, addSpecial: true, parseSpecial: true);

        Compare(own.Logits(ids), Theirs(own, GgufType.F32, ids), _ => Float32Limit);
    }

    /// <summary>
    /// llama.cpp rounds what a matrix is multiplied with to the matrix's type, too: outlying activations make single logits of single
    /// tokens differ by up to 6e-2 of the largest in Q8_0 (SmolLM2), whoever wrote the file. The root mean square over the logits is
    /// 5e-3 of it. That the file's values are right to the bit is GgufQ8Tests' to say, and what llama.cpp reads of them CompareReading's.
    /// </summary>
    private static void CompareRounded(string folder, GgufType type)
    {
        using OwnModel own = OwnModel.Load(folder);
        int[] ids = own.Tokenize(Story, addSpecial: true, parseSpecial: true);
        float[][] ours = own.Logits(ids), theirs = Theirs(own, type, ids);
        double largest = ours.Max(row => row.Max(Math.Abs));

        double square = ours.Zip(theirs, (one, other) => one.Zip(other, (x, y) => Math.Pow(x - y, 2)).Average()).Average();

        Assert.IsLessThanOrEqualTo(RoundedShare * largest, Math.Sqrt(square), $"of logits up to {largest}");
    }

    /// <summary>
    /// llama.cpp's own quantiser makes Q8_0 of the F32 file. With llama.cpp's rounding of activations on both sides the logits of both
    /// files are the same to the bit.
    /// </summary>
    private static void CompareQuantizers(string folder)
    {
        using var temporary = new TemporaryFolder();
        string plain = temporary.File("f32.gguf"), client = temporary.File("client-q8.gguf");
        using OwnModel own = OwnModel.Load(folder);
        int[] ids = own.Tokenize(Story, addSpecial: true, parseSpecial: true);
        float[][] ours = Theirs(own, GgufType.Q8_0, ids);
        own.Transformer.SaveGguf(plain, GgufType.F32);
        LlamaClient.Convert(plain, client, LLamaFtype.MOSTLY_Q8_0);
        using var theirs = new LlamaClient(client);

        Compare(ours, theirs.Logits(ids), _ => 0);
    }

    /// <summary>
    /// llama.cpp makes an F32 file of the Q8_0 one, so that it does not round activations: each logit is what this library computes from
    /// weights that went through a plain Q8_0.
    /// </summary>
    private static void CompareReading(string folder)
    {
        using var temporary = new TemporaryFolder();
        string rounded = temporary.File("q8.gguf"), read = temporary.File("f32.gguf");
        using OwnModel own = OwnModel.Load(folder);
        int[] ids = own.Tokenize(Story, addSpecial: true, parseSpecial: true);
        own.Transformer.SaveGguf(rounded, GgufType.Q8_0);
        LlamaClient.Convert(rounded, read, LLamaFtype.ALL_F32);
        using var theirs = new LlamaClient(read);
        RoundToQ8(own);

        Compare(own.Logits(ids), theirs.Logits(ids), _ => Float32Limit);
    }

    private static int[] Ids(OwnModel own, int length) =>
        [.. Enumerable.Range(0, length).Select(at => 3 + (at * 37 % (own.Network.Spec.VocabularySize - 3)))];

    private static float[][] Theirs(OwnModel own, GgufType type, int[] ids)
    {
        using var folder = new TemporaryFolder();
        own.Transformer.SaveGguf(folder.File("model.gguf"), type);
        using var client = new LlamaClient(folder.File("model.gguf"));
        return client.Logits(ids);
    }

    private static void Compare(float[][] ours, float[][] theirs, Func<double, double> limit)
    {
        double largest = ours.Max(row => row.Max(Math.Abs));
        double difference = ours.Zip(theirs, (one, other) => one.Zip(other, (x, y) => (double)Math.Abs(x - y)).Max()).Max();

        Assert.IsLessThanOrEqualTo(limit(largest), difference, $"of logits up to {largest}");
    }

    private static IEnumerable<float> Rounded(float[] block)
    {
        float scale = block.Max(Math.Abs) / 127, inverse = scale == 0 ? 0 : 1 / scale;
        return block.Select(value => MathF.Round(value * inverse, MidpointRounding.AwayFromZero) * (float)(Half)scale);
    }

    private static void RoundToQ8(OwnModel own)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGrad = no_grad();
        foreach (Tensor weight in own.Network.NamedWeights.Select(named => named.Value))
        {
            if (weight.dim() > 1 && weight.shape[^1] % GgufTensor.BlockValues == 0)
            {
                weight.set_(tensor(weight.data<float>().Chunk(GgufTensor.BlockValues).SelectMany(Rounded).ToArray(), weight.shape));
            }
        }
    }
}
