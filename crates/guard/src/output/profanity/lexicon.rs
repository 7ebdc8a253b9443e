//! The words, folded: lower case, no accents. `*` at the end stands for any ending.

/// Swearing and abuse.
pub(super) const PROFANITY: &str = "
    fuck* motherfuck* clusterfuck* mindfuck* fck fcking fcked fuk fuking fuq wtf stfu gtfo
    shit shits shitty shittier shittiest shitting shitted shitshow shitshows shithead* shithole* shitload* shitstorm*
    shitbag* shitface* shitpost* shite shitter bullshit* horseshit dipshit* batshit apeshit dogshit chickenshit shat
    bitch bitches bitchy bitching bitched bitchass sonofabitch
    ass asses asshole* arse arses arsehole* arsed dumbass* jackass* badass* fatass* smartass* lardass* asshat* asswipe*
    asskiss* bastard* crap crappy crapping crapped bollocks bugger buggered wanker* wanking tosser* twat twats
    dickhead* dickwad* dickish douche douchebag* douchey cunt* piss pissed pissing pisses pissy
    damn damned dammit goddamn* goddam
    whore* slut sluts slutty skank*
    scheiss* scheisse* arschloch* arschlocher arsch arschgeige* arschkriecher* ficken fickt gefickt fick ficker* verfickt* wichser* wichs* hurensohn*
    hurensohne hure huren fotze* schlampe* miststuck* drecksau* drecksack* kacke beschissen* verpiss* missgeburt* schwuchtel*
    merde merdique emmerde* emmerder putain* pute putes salope* salaud* connard* connasse* enculer encule* enculee niquer nique niquetamere
    batard* foutre foutu* petasse* couillon* couilles
    mierda* puta putas puto putos putada* hijoputa* hijueputa* cabron* joder jodido* jodida* jodete gilipollas
    pendejo* pendeja* chinga chingada chingado* chingar chingate culero* verga* maricon*
    merda* caralho* porra foder fodase fodido* fodida* buceta* cuzao* viado* arrombado* desgracad*
    cazzo cazzi cazzata* stronz* vaffanculo fanculo puttan* coglion* minchia merdos* bastardo* bastardi figlidiputtana inculare porcodio
    kutwijf klootzak* godverdomme hoer hoeren kankerhoer kanker* tyfus* lullen neuken geneukt mongool
    kurwa kurwy kurwe kurwo kurew* skurwysyn* skurwiel* pierdol* spierdal* wypierdal* opierdal* jebac jebany jebana jebane jebie zajebist*
    zjeb* wyjeb* pojeb* chuj chuja chuju chujow* huj huja pizda pizdy gowno gowna dupek dziwka dziwki suka suki
    блядь бляди блядск* блять бля сука суки сучка пизда пизды пиздец пиздеж пиздат* пизду хуй хуя хую хуи хуем хуйня хуйню хуев* хуесос* нахуй похуй
    охуе* охуи* ебать ебал ебан* ебуч* еблан* ебло выеб* заеб* наеб* отъеб* проеб* уеб* долбоеб* мудак* мудил* гандон* гондон* говно говна дерьмо дерьма
    жопа жопу жопы залуп* манда пидор* пидар* шлюха шлюхи
    orospu* siktir* sikeyim sikerim sikik aminakoyim amk yarrak yarrag* pezevenk* serefsiz* gotveren* boktan
    perkele vittu* vitun saatana kusipaa* helvete javla javlar faen jaevla jævla
    傻逼 操你妈 他妈的 妈的 草泥马 婊子 混蛋 王八蛋
    씨발* 시발* 개새끼* 병신* 좆* 존나 지랄*
";

/// Words for groups of people, made to hurt. Words that a group uses for itself, or that are names, are left out.
pub(super) const SLURS: &str = "
    nigger* nigga* faggot* fag fags kike kikes spic spics wetback* gook gooks tranny trannies shemale*
    towelhead* raghead* sandnigger* retarded libtard* mongoloid* paki pakis darkie darkies
    kanake* kanaken neger negern zigeunerpack judensau* bougnoul* merde youpin* youtre* sudaca* panchito*
    чурка чурки хачи жид жиды жидов* пиндос* ниггер*
";

/// Coarse words for sex and parts of the body.
pub(super) const OBSCENITY: &str = "
    cumming cumshot* cumslut* jizz* blowjob* handjob* rimjob* titfuck* tits titties titty boobs boobies pussy pussies clit
    dildo* buttplug* gangbang* bukkake* creampie* deepthroat* fap fapping horny porn porno pornos pornstar* milf milfs
    masturbat* wank* jerkoff cocksuck* boner* hardon ballsack* nutsack* dicks suckmydick
    titten ficksau schwanzlutsch* pompino* scopare tette chatte nichons branlette* branler branleur*
    follar follada* mamada* tetas punheta* boquete* xoxota* siririca
    cycki lodzik ruchac ruchanie rucham дрочить дрочит дрочил* сиськи минет
";
